// sharp over a bucket with the AWS SDK, four pictures at once: node bucket.mjs SOURCE TARGET SIDE
import {GetObjectCommand, paginateListObjectsV2, PutObjectCommand, S3Client} from '@aws-sdk/client-s3';
import sharp from 'sharp';

const [, , source, target, side] = process.argv;
const client = new S3Client({forcePathStyle: true});
const keys = [];
for await (const page of paginateListObjectsV2({client}, {Bucket: source})) {
  keys.push(...(page.Contents ?? []).map((each) => each.Key));
}

async function work() {
  for (let key = keys.pop(); key; key = keys.pop()) {
    const found = await client.send(new GetObjectCommand({Bucket: source, Key: key}));
    const body = await sharp(await found.Body.transformToByteArray(), {failOn: 'truncated'}).rotate()
      .resize(+side, +side, {fit: 'inside', withoutEnlargement: true}).jpeg({quality: 80}).toBuffer();
    await client.send(new PutObjectCommand({Bucket: target, Key: key, Body: body, ContentType: 'image/jpeg'}));
  }
}

await Promise.all([work(), work(), work(), work()]);
