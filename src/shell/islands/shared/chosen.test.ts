import assert from 'node:assert/strict'
import { test } from 'node:test'
import { orThrow } from '#core/kit/outcome'
import { checkNames, filesOfDrop, filesOfInput, Selection, type Chosen } from '#shell/islands/shared/chosen'

const aFile = (path: string, content = 'text', lastModified = 1): Chosen => ({
  path,
  file: new File([content], path.split('/').pop()!, { lastModified }),
})

test('a file chosen twice is there once; another file of its name is reported and left out', () => {
  const selection = new Selection()
  assert.deepEqual(selection.add([aFile('a.txt')]), [])
  assert.deepEqual(selection.add([aFile('a.txt')]), [])
  assert.deepEqual(selection.add([aFile('a.txt', 'longer text')]), ['a.txt'])
  assert.deepEqual([selection.fileCount, selection.sizeBytes], [1, 4])
})

test('a folder is one row with its files counted, and is removed whole', () => {
  const selection = new Selection()
  selection.add([aFile('case/a.txt'), aFile('case/deep/b.txt'), { path: 'empty', file: null }, aFile('case.txt')])
  assert.deepEqual(selection.rows, [
    { name: 'case', isFolder: true, fileCount: 2, sizeBytes: 8 },
    { name: 'empty', isFolder: true, fileCount: 0, sizeBytes: 0 },
    { name: 'case.txt', isFolder: false, fileCount: 1, sizeBytes: 4 },
  ])
  selection.remove('case')
  assert.deepEqual(
    selection.all.map(({ path }) => path),
    ['empty', 'case.txt'],
  )
})

test('a bad name is named, wherever it stands', () => {
  const names = ['fine.txt', 'also/fine.txt', 'con', 'fine-too.txt']
  const checked = checkNames(names.map((name) => aFile(name)))
  assert.deepEqual(checked, { ok: false, problem: { slug: 'file-name-reserved', detail: 'con' } })
})

test('of names that clash, the second is named', () => {
  const many = Array.from({ length: 50 }, (_, i) => aFile(`file-${i}.txt`))
  const checked = checkNames([...many, aFile('FILE-7.txt'), aFile('after.txt')])
  assert.deepEqual(checked, { ok: false, problem: { slug: 'file-name-case', detail: 'FILE-7.txt' } })
  orThrow(checkNames(many))
})

test('hidden characters in a name are shown for what they are', () => {
  const shown = (name: string) => {
    const checked = checkNames([aFile(name)])
    return !checked.ok && checked.problem.detail
  }
  assert.equal(shown('invoice\u202efdp.exe'), 'invoice\\u202efdp.exe')
  assert.equal(shown('a\tb'), 'a\\u0009b')
})

test('an input gives files by their names, and a folder’s by their paths', () => {
  const plain = new File(['x'], 'a.txt')
  const inside = Object.assign(new File(['x'], 'b.txt'), { webkitRelativePath: 'case/b.txt' })
  assert.deepEqual(
    filesOfInput([plain, inside]).map(({ path }) => path),
    ['a.txt', 'case/b.txt'],
  )
})

const fileEntry = (fullPath: string) => ({
  isFile: true,
  fullPath,
  file: (found: (file: File) => void) => found(new File(['x'], fullPath.split('/').pop()!)),
})
/** A folder that hands over what is in it in portions of two, as browsers do in portions of a hundred. */
const folderEntry = (fullPath: string, inside: unknown[]) => ({
  isFile: false,
  fullPath,
  createReader() {
    const left = [...inside]
    return { readEntries: (found: (some: unknown[]) => void) => found(left.splice(0, 2)) }
  },
})

test('dropped folders are walked to their ends, however they are handed over, empty ones included', async () => {
  const entries = [
    folderEntry('/case', [
      fileEntry('/case/1'),
      fileEntry('/case/2'),
      fileEntry('/case/3'),
      folderEntry('/case/none', []),
    ]),
    fileEntry('/letter.txt'),
  ]
  const items = [...entries.map((entry) => ({ webkitGetAsEntry: () => entry })), { webkitGetAsEntry: () => null }]
  const found = await filesOfDrop(items as unknown as DataTransferItemList)
  assert.deepEqual(
    found.map(({ path, file }) => [path, file !== null]),
    [
      ['case/1', true],
      ['case/2', true],
      ['case/3', true],
      ['case/none', false],
      ['letter.txt', true],
    ],
  )
})
