/** mocha swallows unhandled rejections (exit code 0); rethrown, they fail the run. */
process.on('unhandledRejection', (reason) => {
  throw reason;
});
