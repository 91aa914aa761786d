/**
 * Ends a test file that hangs, with exit code 1 and what it waits for: `node --test` waits for ever, also for a test whose
 * time is up when something of it is left running. Loaded into each test file by `scripts/test.ts`.
 */
const fileMinutes = 10

setTimeout(() => {
  const what = process.getActiveResourcesInfo().join(', ')
  console.error(`This test file has not ended after ${fileMinutes} minutes. What is left running: ${what}`)
  process.exit(1)
}, fileMinutes * 60_000).unref()
