import assert from 'node:assert/strict'
import { test } from 'node:test'
import { leafHash, rootOf } from '#core/register/merkle'
import { utf8, type Bytes } from '#core/kit/bytes'
import { relate } from '#core/register/relation'
import { leafHashes, tilesInMemory } from '#core/register/small-register'
import { rootsFromTiles } from '#core/register/tile'

const ours = leafHashes(300)
/** The same beginning of 100 entries, then others. */
const theirs = [...ours.slice(0, 100), ...Array.from({ length: 200 }, (_, i) => leafHash(utf8(`other ${i}`)))]
const stateOf = (leaves: Uint8Array[], size: number) => ({
  origin: 'register.example.gov.uk',
  size,
  root: rootOf(leaves.slice(0, size)) as Bytes,
})
const rootsOf = (leaves: Uint8Array[], size: number) => rootsFromTiles(size, tilesInMemory(leaves.slice(0, size)).read)

test('two checkpoints of one size are the same or a fork, whatever else is published', async () => {
  assert.equal(await relate(stateOf(ours, 200), stateOf(ours, 200)), 'same')
  assert.equal(await relate(stateOf(ours, 200), stateOf(theirs, 200)), 'fork')
})

test('a larger one extends a smaller one when the tiles show it, in either order', async () => {
  for (const [small, large] of [
    [1, 300],
    [100, 256],
    [256, 257],
    [299, 300],
  ] as const) {
    const roots = rootsOf(ours, large)
    assert.equal(await relate(stateOf(ours, small), stateOf(ours, large), roots), 'extends')
    assert.equal(await relate(stateOf(ours, large), stateOf(ours, small), roots), 'extends')
  }
  assert.equal(await relate(stateOf(ours, 0), stateOf(ours, 300)), 'extends')
})

test('tiles of a still larger register show it too', async () => {
  assert.equal(await relate(stateOf(ours, 100), stateOf(ours, 200), rootsOf(ours, 300)), 'extends')
})

test('a fork of different sizes is shown by the tiles of the larger one', async () => {
  assert.equal(await relate(stateOf(ours, 200), stateOf(theirs, 300), rootsOf(theirs, 300)), 'fork')
  assert.equal(await relate(stateOf(ours, 100), stateOf(theirs, 300), rootsOf(theirs, 300)), 'extends')
  assert.equal(await relate({ ...stateOf(ours, 0), root: ours[0] as Bytes }, stateOf(ours, 300)), 'fork')
})

test('without the tiles of the larger one nothing is claimed', async () => {
  assert.equal(await relate(stateOf(ours, 200), stateOf(ours, 300)), 'unshown')
  assert.equal(await relate(stateOf(ours, 200), stateOf(theirs, 300), rootsOf(ours, 300)), 'unshown')
})
