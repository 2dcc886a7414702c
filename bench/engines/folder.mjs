// sharp over a folder, four pictures in flight: node folder.mjs SOURCE TARGET SIDE
import {mkdirSync, readdirSync} from 'node:fs';
import {join} from 'node:path';
import sharp from 'sharp';

const [, , source, target, side] = process.argv;
const names = readdirSync(source);
mkdirSync(target, {recursive: true});

async function work() {
  for (let name = names.pop(); name; name = names.pop()) {
    await sharp(join(source, name)).rotate().resize(+side, +side, {fit: 'inside', withoutEnlargement: true})
      .jpeg({quality: 80}).toFile(join(target, name));
  }
}

await Promise.all([work(), work(), work(), work()]);
