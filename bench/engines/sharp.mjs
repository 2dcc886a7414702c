// sharp, one thread a picture: the largest from the file, the others from the next larger. Spoken to as line.py says.
import {readFileSync, writeFileSync} from 'node:fs';
import {createInterface} from 'node:readline';
import sharp from 'sharp';

sharp.concurrency(1);
sharp.cache(false);

// Of a PNG a quality is the number of its colours.
const saved = (picture, format, quality) => picture.toFormat(format, format === 'png' ? {} : {quality}).toBuffer();

async function make(data, sides, format, quality) {
  const made = {};
  let picture = null;
  for (const side of [...sides].sort((a, b) => b - a)) {
    const from = picture ? sharp(picture.data, {raw: picture.info}) : sharp(data).rotate();
    const sized = from.resize(side, side, {fit: 'inside', withoutEnlargement: true});
    if (sides.length === 1) {
      made[side] = await saved(sized, format, quality);
      break;
    }
    picture = await sized.raw().toBuffer({resolveWithObject: true});
    made[side] = await saved(sharp(picture.data, {raw: picture.info}), format, quality);
  }
  return sides.map((side) => made[side]);
}

for await (const line of createInterface({input: process.stdin})) {
  const job = JSON.parse(line);
  const before = process.cpuUsage();
  let answer;
  try {
    const made = await make(readFileSync(job.source), job.sides, job.format, job.quality);
    const used = process.cpuUsage(before);
    answer = {cpu: (used.user + used.system) / 1e6, peak: process.resourceUsage().maxRSS / 1024};
    if (job.out) job.sides.forEach((side, n) => writeFileSync(`${job.out}/${side}.${job.format}`, made[n]));
  } catch (error) {
    answer = {error: error.constructor.name};
  }
  console.log(JSON.stringify(answer));
}
