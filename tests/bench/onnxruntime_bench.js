// Measures what ONNX Runtime takes for an image on one thread, by batch size; prints one JSON object.
//
//   NODE_PATH=…/node_modules node onnxruntime_bench.js MODEL.onnx SECONDS BATCH…
const ort = require('onnxruntime-node');

async function measure(session, shape, batch, seconds) {
  const size = shape.slice(1).reduce((product, extent) => product * extent, batch);
  const pixels = Float32Array.from({length: size}, (_, i) => ((37 * i) % 256) / 255);
  const feeds = {images: new ort.Tensor('float32', pixels, [batch, ...shape.slice(1)])};
  let images = 0;
  const begin = process.hrtime.bigint();
  let elapsed = 0;
  while (elapsed < seconds) {
    await session.run(feeds);
    images += batch;
    elapsed = Number(process.hrtime.bigint() - begin) / 1e9;
  }
  return elapsed * 1e6 / images;
}

async function main() {
  const [model, seconds, ...batches] = process.argv.slice(2);
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ['cpu'], intraOpNumThreads: 1, interOpNumThreads: 1,
    executionMode: 'sequential', graphOptimizationLevel: 'all'});
  const shape = session.inputMetadata[0].shape;
  await measure(session, shape, 32, Number(seconds) / 4);  // Lets the processor settle.
  const byBatch = {};
  for (const batch of batches) {
    byBatch[batch] = await measure(session, shape, Number(batch), Number(seconds));
  }
  const version = require('onnxruntime-node/package.json').version;
  console.log(JSON.stringify({version, microseconds_per_image: byBatch}));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
