import { setFlagsFromString } from 'node:v8'
import { runSafehand } from '#shell/cli/safehand'

// What passes through (parts, rows, pages) is garbage at once. A young generation that grows keeps up to 100 MB of it and
// touches fresh memory for each piece; one that stays as it begins uses the same memory again: a part costs a third of
// the processor's time. Read by V8 whenever it would grow, so it may be said here, for every way in which we are started.
setFlagsFromString('--semi-space-growth-factor=1')

process.exitCode = await runSafehand(process.argv.slice(2))
