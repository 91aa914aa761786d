import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sha256 } from '@noble/hashes/sha2.js'
import { toHex } from '#core/kit/bytes'
import { checkpointText } from '#core/register/checkpoint'
import { leafOf } from '#core/register/event'
import { leafHash } from '#core/register/merkle'
import { keyTypes, signNote } from '#core/register/note'
import { aSigner, someEvidence, tilesInMemory } from '#core/register/small-register'
import { bundlePath, encodeBundle, TILE_WIDTH } from '#core/register/tile'
import { cosign } from '#core/register/witness'

/**
 * What a small register was published as when the format was decided. These never change: if a test here fails, receipts
 * that people hold no longer fit what the program makes.
 *
 * Roots and files were once made a second time by a few lines of Python, which agreed.
 *
 * Entry n has the salt of 32 bytes n mod 256 and the body {"n": n}; the keys are those of `aSigner`.
 */
const golden: Record<number, { root: string; signature: string; files: Record<string, string> }> = {
  '0': {
    root: '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=',
    signature: 'QEIUVXs/ZpOIJ3PiPqY+nm4KqMz0q6agOmlqkM23YHAYa3+jnOBDVOA60jEFt0nXHVtfzds4rDOuvttOCLTCC/V0dAQ=',
    files: {},
  },
  '1': {
    root: 'BHLsV/ifP4dQ+V8nmQJusBKJmSkSEUHqyQuD80023h8=',
    signature: 'QEIUVZEZVrwMO9vOvGUiXA6SaZEXyB8KHTkmR2ug3p2mti3ZuOXnogTpXUAAAZvAwYWyWnrIYwZ97ZFW2SvJfNvLfAE=',
    files: {
      'tile/0/000.p/1': '9d3bc6cc1a7a00e10105ce45725a64a5aa842d1625e5530c3ed1daff6a8b7dc7',
      'tile/entries/000.p/1': '2b03c3cdaa4c46d55ae9c4d385b3c06297786759040ae9b112867866d6af90f0',
    },
  },
  '255': {
    root: 'itinVVNikobworrZXi/2IVRBDM/WsftaTu3njXs8tso=',
    signature: 'QEIUVXPG59omQlPNyyDJNx8T+ongK7d+ydp5N0Q28QwsJPZmrZ2qX4KzNGPpLNr/wL7sbeck7ToHjMlqlQIp4J5o5gI=',
    files: {
      'tile/0/000.p/255': '7cef4e160cd1d935d7d7176fbf3e19ac47a0c4cbdc589e1de386ad224bc2f1d1',
      'tile/entries/000.p/255': '7ef8788d43ae62c80a313e044a3f545a7f93b45965977507948affc5c303c62c',
    },
  },
  '256': {
    root: 'YrvkoDZXJGvljkVY9IUWFWOke4cwEUK2+yxKB/u+Mhc=',
    signature: 'QEIUVQsaenLreqPW84vYE/JrZamp/YnlzhWZOWOXIthCHuj5EPzv8kmYLZL2wAJ3ctuHaaTvs3to1ceKuo0hEHOEcg0=',
    files: {
      'tile/0/000': '449fbfe3ddbd9cafb0277a384f3e3a6db7d98ec9a6aa8cc0b1a5231b14f49cd6',
      'tile/1/000.p/1': '5c072526ed8c035cdfe4d965c75e982048583807d9e06129b263c2a83efc086a',
      'tile/entries/000': 'ed5ebdacb63fb5ddc7fce580e8c8d5ef9cf2a928309b086f8606713746d54e7f',
    },
  },
  '257': {
    root: 'QPjMpvFsIETW41BqQiOxGLC2Zk4t89MFywJPAYwDoms=',
    signature: 'QEIUVVm490TJ78SSWvTx4w2PbBKTtV16qxSj59NGV2aBnwhugCqaCojDH7Fr+A1fSl2VoSRBShVOf8IipZdqAXz/MQU=',
    files: {
      'tile/0/000': '449fbfe3ddbd9cafb0277a384f3e3a6db7d98ec9a6aa8cc0b1a5231b14f49cd6',
      'tile/0/001.p/1': '0e2927635cd9337b33e3514842b64e0ac8c65a7e14dda7d587fcff17706d8eaa',
      'tile/1/000.p/1': '5c072526ed8c035cdfe4d965c75e982048583807d9e06129b263c2a83efc086a',
      'tile/entries/000': 'ed5ebdacb63fb5ddc7fce580e8c8d5ef9cf2a928309b086f8606713746d54e7f',
      'tile/entries/001.p/1': '6eba2a79d754ecec8c7a7d3029004849e075a41458f8d03b3d83f5111724fd06',
    },
  },
}

const entry = (n: number) => leafOf(someEvidence({ salt: new Uint8Array(32).fill(n % 256), body: { n } }))

/** Every file of the register of this size by its path, as SHA-256, and its checkpoint. */
async function madeNow(size: number) {
  const entries = Array.from({ length: size }, (_, n) => entry(n))
  const { tiles, root } = tilesInMemory(entries.map(leafHash))
  const files = new Map(tiles)
  for (let n = 0; n * TILE_WIDTH < size; n++) {
    const bundle = entries.slice(n * TILE_WIDTH, (n + 1) * TILE_WIDTH)
    files.set(bundlePath(n, bundle.length), encodeBundle(bundle))
  }
  const signer = aSigner()
  const note = await signNote(checkpointText({ origin: signer.vkey.name, size, root }), signer)
  return {
    root: note.split('\n')[2]!,
    signature: note.split('\n')[4]!.split(' ')[2]!,
    files: Object.fromEntries([...files].map(([path, bytes]) => [path, toHex(sha256(bytes))])),
  }
}

for (const [size, expected] of Object.entries(golden)) {
  test(`the register of ${size} entries is published as it always was`, async () => {
    assert.deepEqual(await madeNow(Number(size)), expected)
  })
}

test('a cosignature is made as it always was', async () => {
  const text = checkpointText({ origin: 'register.example.gov.uk', size: 0, root: new Uint8Array(32) })
  assert.equal(
    await cosign(text, 1_800_000_000, aSigner('witness.example', keyTypes.ed25519Cosignature, 3)),
    '— witness.example reJIigAAAABrSdIA0y1cDdtXyXWok4+yFIgSM+6xd7fHy43JH36GufvywJSvGKt/oF9Jc6qqC9Yg5vDnnLmqQA2NVgiwxHeEKttZAA==\n',
  )
})
