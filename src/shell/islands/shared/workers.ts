/** The scripts that run beside a page, or beside one another. They lie where this one lies, under an address that changes with them. */
const beside = (name: string): string => new URL(`${name}-worker.js`, import.meta.url).href
const known = { seal: beside('seal'), open: beside('open'), cipher: beside('cipher'), download: beside('download') }

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): string }
}

/** The only Trusted Types policy of a page or worker: it lets through these addresses and nothing else. */
const policy = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes?.createPolicy('safehand', {
  createScriptURL(url) {
    if (!Object.values(known).includes(url)) throw new TypeError('Not a script of ours')
    return url
  },
})

const trusted = (url: string): string => policy?.createScriptURL(url) ?? url

export const startWorker = (name: 'seal' | 'open' | 'cipher'): Worker =>
  new Worker(trusted(known[name]), { name: `safehand-${name}` })

const downloads = new URL('download/', import.meta.url).href

/**
 * Registers the service worker that saves large files. It answers for addresses under `download/` only: were these
 * workers' own addresses among them, everything that they send and fetch would pass through it. Fails where the browser
 * has none (inside other programs) or lets none be (some private windows).
 */
export const registerDownloads = async (): Promise<ServiceWorkerRegistration> =>
  navigator.serviceWorker.register(trusted(known.download), { scope: downloads })

/** Where the browser fetches a file that the service worker opens. */
export const downloadAddress = (id: string): string => downloads + id
