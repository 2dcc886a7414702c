// sharp over a folder, four pictures at once: node folder.mjs SOURCE TARGET '[{"name", "side", "fit", "format"}...]'
import {mkdirSync, readdirSync} from 'node:fs';
import {join} from 'node:path';
import sharp from 'sharp';

const [, , source, target, recipe] = process.argv;
const variants = JSON.parse(recipe);
const names = readdirSync(source);
mkdirSync(target, {recursive: true});

async function work() {
  for (let name = names.pop(); name; name = names.pop()) {
    // By default sharp stops at the first warning of a decoder, which common files give.
    const photo = sharp(join(source, name), {failOn: 'truncated'}).rotate();
    await Promise.all(variants.map(({name: variant, side, fit, format}) => photo.clone()
      .resize(side, side, {fit, withoutEnlargement: true}).toFormat(format, {quality: 80})
      .toFile(join(target, `${name}.${variant}.${format}`))));
  }
}

await Promise.all([work(), work(), work(), work()]);
