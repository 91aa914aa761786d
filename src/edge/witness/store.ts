import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { fromUtf8, utf8 } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { assert, fail, ok, type Outcome } from '#core/kit/outcome'
import { parseCheckpoint, type Checkpoint } from '#core/register/checkpoint'
import { isName, keyTypes, openNote, type NoteSigner, type Vkey } from '#core/register/note'
import { cosign, mayCosign, openSubmission } from '#core/register/witness'
import { readOrMakeRegisterKey } from '#edge/keeper/key'
import { CHECKPOINT_PATH, tileFolder } from '#edge/keeper/tiles'

/** The outcome of a request to cosign, and how large the register was that the witness last cosigned. */
export type Answer = Outcome<string> & { size: number }

/** Somebody who signs a register's checkpoint only when it continues the one they signed before. */
export interface Witness {
  vkey: Vkey
  /**
   * Cosigns what an add-checkpoint request submits. What was cosigned is on disk before this returns.
   *
   * @returns the signature line, or a problem of `openSubmission` or `mayCosign`
   */
  add: (request: string) => Promise<Answer>
  /** The newest checkpoint cosigned, as a note with this witness's line; undefined when there is none. */
  latest: (logId: string) => Promise<Uint8Array | undefined>
  /** Lets another process have the folder, when the request under way is done. */
  close: () => Promise<void>
}

/** What a register is called in addresses and folders. @source C2SP tlog-witness 1.0.0 */
export const logIdOf = (origin: string): string => createHash('sha256').update(origin).digest('hex')

/**
 * Opens a witness's folder, making it and its key when they are new: `name`, `key.pem`, and for each register
 * `<id>/checkpoint`, the newest that was cosigned.
 *
 * The key lies beside what was signed with it on purpose: whoever loses the one must not go on with the other. An older
 * copy of the folder would sign again what it has forgotten, so it is never put back from a backup.
 *
 * @param name - needed the first time; a witness keeps its name
 * @param logs - keys of the registers that it knows
 * @returns the witness, or the problem `setting-wrong` or `data-folder-in-use`
 */
export async function openWitness(folder: string, name: string | undefined, logs: Vkey[]): Promise<Outcome<Witness>> {
  const opened = await witnessSigner(folder, name)
  if (!opened.ok) return opened
  const signer = opened.value
  const lock = await lockFolder(folder)
  if (!lock) return fail('data-folder-in-use')
  const isOwn = await checkOwn(folder, logs, signer.vkey)
  if (!isOwn.ok) {
    await lock.close()
    return isOwn
  }
  let turn: Promise<unknown> = Promise.resolve()
  const add = async (request: string): Promise<Answer> => {
    const submission = openSubmission(request, logs)
    if (!submission.ok) return { ...submission, size: 0 }
    const { checkpoint, text, note } = submission.value
    // One after the other from here on: of two requests that compare with the same state, only one may be answered.
    const done = turn.then(async (): Promise<Answer> => {
      const latest = await readLatest(folder, checkpoint.origin, signer.vkey)
      assert(latest.ok, 'what this witness signed was readable when it began')
      const size = latest.value?.size ?? 0
      const allowed = mayCosign(submission.value, latest.value)
      if (!allowed.ok) return { ...allowed, size }
      const line = await cosign(text, Math.floor(Date.now() / 1000), signer)
      if (note.length + line.length > limits.noteBytes) return { ...fail('witness-request-malformed'), size }
      await tileFolder(join(folder, logIdOf(checkpoint.origin))).write(CHECKPOINT_PATH, utf8(note + line))
      return { ...ok(line), size: checkpoint.size }
    })
    turn = done.catch(() => {})
    return done
  }
  return ok({
    vkey: signer.vkey,
    add,
    latest: (logId) => tileFolder(join(folder, logId)).read(CHECKPOINT_PATH),
    close: () => turn.then(() => lock.close()),
  })
}

/** Holds the folder against other processes until the file is closed or this process ends, however it ends. */
async function lockFolder(folder: string): Promise<FileHandle | undefined> {
  const file = await open(join(folder, 'lock'), 'a', 0o600)
  // The lock belongs to the open file, which flock(1) inherits and we keep. Node itself cannot lock.
  const { status, error } = spawnSync('flock', ['--nonblock', '3'], { stdio: ['ignore', 'ignore', 'ignore', file.fd] })
  if (error) throw error
  if (status === 0) return file
  await file.close()
  return undefined
}

/**
 * The name and key of a witness's folder, made when they are new; also beside a witness that runs.
 *
 * @returns the signer, or the problem `setting-wrong`
 */
export async function witnessSigner(folder: string, name: string | undefined): Promise<Outcome<NoteSigner>> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const wrong = (detail: string) => fail('setting-wrong', { detail })
  const own = tileFolder(folder)
  const bytes = await own.read('name')
  const known = bytes && fromUtf8(bytes)
  if (known !== undefined && name !== undefined && name !== known)
    return wrong(`This witness is called ${known}. Another one needs a folder of its own.`)
  const called = known ?? name ?? ''
  if (!isName(called)) return wrong('Give the witness a name without spaces, such as --name witness.example/register.')
  await own.write('name', utf8(called))
  return ok(await readOrMakeRegisterKey(join(folder, 'key.pem'), called, keyTypes.ed25519Cosignature))
}

/** Whether all that the folder holds of these registers was signed with its key; or the problem `setting-wrong`. */
async function checkOwn(folder: string, logs: Vkey[], vkey: Vkey): Promise<Outcome<void>> {
  for (const { name: origin } of logs) {
    if (!(await readLatest(folder, origin, vkey)).ok) {
      return fail('setting-wrong', {
        detail: `What ${folder} holds of ${origin} was not signed by this witness: begin again in a new folder.`,
      })
    }
  }
  return ok()
}

/** The newest checkpoint of a register that this witness cosigned, if any; or a problem when the file is not its own. */
async function readLatest(folder: string, origin: string, vkey: Vkey): Promise<Outcome<Checkpoint | undefined>> {
  const bytes = await tileFolder(join(folder, logIdOf(origin))).read(CHECKPOINT_PATH)
  if (!bytes) return ok(undefined)
  const note = openNote(new TextDecoder().decode(bytes), [vkey])
  const checkpoint = note.ok ? parseCheckpoint(note.value.text) : note
  return checkpoint.ok && checkpoint.value.origin !== origin ? fail('checkpoint-malformed') : checkpoint
}
