/**
 * Chromium as the bench needs it: a process whose pages can be prepared over DevTools, which are then let go of, because
 * DevTools copies every body that passes and makes everything slower.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { chromium, type Page } from 'playwright-core'
import { pssMib, treeOf } from './memory.ts'

export interface Prepared {
  /** Does something with the browser's page while DevTools is attached. */
  attached<T>(work: (page: Page) => Promise<T>): Promise<T>
  /** Where it saves what it downloads. */
  downloads: string
  /** Mebibytes of the largest of its pages' processes: proportional set size. */
  pageMib(): Promise<number>
  end(): Promise<void>
}

export async function startChromium(): Promise<Prepared> {
  const folder = await mkdtemp(join(tmpdir(), 'safehand-chromium-'))
  const downloads = join(folder, 'downloads')
  await mkdir(join(folder, 'Default'), { recursive: true })
  await mkdir(downloads)
  const preferences = { download: { default_directory: downloads, prompt_for_download: false } }
  await writeFile(join(folder, 'Default/Preferences'), JSON.stringify(preferences))
  const args = `--headless --no-sandbox --disable-gpu --disable-background-networking --no-first-run --remote-debugging-port=0`
  const browser = spawn('/usr/bin/chromium', [...args.split(' '), `--user-data-dir=${folder}`, 'about:blank'], {
    stdio: 'ignore',
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
  })
  process.once('exit', () => browser.kill('SIGKILL'))
  const port = async (): Promise<string> => {
    for (;;) {
      const text = await readFile(join(folder, 'DevToolsActivePort'), 'utf8').catch(() => '')
      if (text.includes('\n')) return text.split('\n')[0]!
      await wait(50)
    }
  }
  const address = `http://127.0.0.1:${await port()}`
  return {
    downloads,
    async attached(work) {
      const devTools = await chromium.connectOverCDP(address)
      try {
        return await work(devTools.contexts()[0]!.pages()[0]!)
      } finally {
        await devTools.close()
      }
    },
    async pageMib() {
      const held = (await treeOf(browser.pid!)).map(async (pid) => {
        const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
        return command.includes('--type=renderer') ? pssMib(pid) : 0
      })
      return Math.max(...(await Promise.all(held)))
    },
    async end() {
      browser.kill()
      await once(browser, 'exit')
      await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}
