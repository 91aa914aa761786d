import { resolve } from 'node:path'
import { concat } from '#core/kit/bytes'
import { limits } from '#core/kit/limits'
import { fail, orThrow } from '#core/kit/outcome'
import type { Published } from '#edge/keeper/adopt'
import { tileFolder } from '#edge/keeper/tiles'

/**
 * What is published in a folder, or at an address: the register's own, or a mirror's.
 *
 * @throws when an address does not answer, or with anything but a file or that there is none
 */
export function publishedAt(place: string): Published {
  if (!/^https?:\/\//.test(place)) return tileFolder(resolve(place))
  if (!URL.canParse(place)) orThrow(fail('setting-wrong', { detail: `${place} is no address.` }))
  const address = place.replace(/\/*$/, '/')
  return {
    async read(path) {
      const signal = AbortSignal.timeout(limits.publishedWaitMs)
      const response = await fetch(new URL(path, address), { signal, redirect: 'error' })
      if (response.status === 404) return undefined
      if (!response.ok) throw new Error(`${address}${path} answers ${response.status}`)
      const parts: Uint8Array[] = []
      let bytes = 0
      for await (const part of response.body ?? []) {
        bytes += part.length
        if (bytes > limits.publishedFileBytes)
          throw new Error(`${address}${path} is larger than any file of a register`)
        parts.push(part)
      }
      return concat(...parts)
    },
  }
}
