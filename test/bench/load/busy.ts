// Keeps one core busy until it is killed. In slices, so that it ends when it is asked to.

const SLICE_MS = 50;
const spin = (): void => {
  const endMs = performance.now() + SLICE_MS;
  while (performance.now() < endMs);
  setImmediate(spin);
};
spin();
