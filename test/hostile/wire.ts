/** Bytes put on a connection as they are, and what comes back. */
import { connect } from 'node:net'

export interface Reply {
  status: number
  headers: string
  body: string
}

/** A server that says nothing for so long, to something that is whole, hangs. */
const patienceMs = 20_000
/** After a reply the connection is watched for so long: a second one must not come. */
const watchMs = 300

/**
 * Writes to a fresh connection and reads until the server closes it, or has said nothing more for a while.
 *
 * @param isWhole - false when the server is entitled to go on waiting: then silence is an answer
 */
export function exchange(port: number, bytes: string | Buffer, isWhole = true): Promise<Reply[]> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' })
    const pieces: Buffer[] = []
    let timer = setTimeout(done, isWhole ? patienceMs : watchMs, isWhole ? 'silence' : undefined)
    function done(fault?: string): void {
      clearTimeout(timer)
      socket.destroy()
      if (fault === undefined) resolve(repliesIn(Buffer.concat(pieces).toString('latin1')))
      else reject(new Error(`${fault} after ${JSON.stringify(bytes.toString('latin1').slice(0, 200))}`))
    }
    socket.on('data', (piece) => {
      pieces.push(piece)
      clearTimeout(timer)
      timer = setTimeout(done, watchMs)
    })
    socket.on('close', () => done())
    socket.on('error', () => done())
    socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  })
}

/** The replies in what a server sent, one after the other. */
function repliesIn(text: string): Reply[] {
  const replies: Reply[] = []
  for (let rest = text; rest !== '';) {
    const end = rest.indexOf('\r\n\r\n')
    const headers = end < 0 ? rest : rest.slice(0, end)
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(headers)?.[1])
    const length = Number(/^content-length: *(\d+)/im.exec(headers)?.[1] ?? Infinity)
    const after = end < 0 ? '' : rest.slice(end + 4)
    // An interim reply has no body, and the real one follows it.
    const body = status < 200 ? '' : after.slice(0, length)
    if (status >= 200) replies.push({ status, headers, body })
    rest = after.slice(body.length)
  }
  return replies
}

const inner = 'GET /register/checkpoint HTTP/1.1\r\nHost: x\r\n\r\n'
const chunked = `0\r\n\r\n${inner}`
const post = 'POST /api/transfers HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'

/** Two readings of one request: what one program takes for a body, another takes for a request of its own. */
export const smuggled: Record<string, string> = {
  'length and chunks': `${post}Content-Length: ${chunked.length}\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`,
  'chunks and length': `${post}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n${chunked}`,
  'two lengths': `${post}Content-Length: 0\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`,
  'a list of lengths': `${post}Content-Length: 0, ${inner.length}\r\n\r\n${inner}`,
  'a length with a sign': `${post}Content-Length: +${inner.length}\r\n\r\n${inner}`,
  'a negative length': `${post}Content-Length: -1\r\n\r\n${inner}`,
  'a length in hexadecimal': `${post}Content-Length: 0x10\r\n\r\n${inner}`,
  'a length beyond all numbers': `${post}Content-Length: 18446744073709551617\r\n\r\n${inner}`,
  'an unknown coding': `${post}Transfer-Encoding: xchunked\r\n\r\n${chunked}`,
  'chunks twice': `${post}Transfer-Encoding: chunked, chunked\r\n\r\n${chunked}`,
  'chunks, then something else': `${post}Transfer-Encoding: chunked, identity\r\n\r\n${chunked}`,
  'a space before the colon': `${post}Transfer-Encoding : chunked\r\n\r\n${chunked}`,
  'a folded header': `${post}Transfer-Encoding:\r\n chunked\r\nContent-Length: 0\r\n\r\n${chunked}`,
  'a tab in the coding': `${post}Transfer-Encoding:\tchunked\r\nContent-Length: 4\r\n\r\n${chunked}`,
  'a vertical tab in the coding': `${post}Transfer-Encoding:\u000bchunked\r\n\r\n${chunked}`,
  'a bare line feed': `${post}X: y\nTransfer-Encoding: chunked\r\n\r\n${chunked}`,
  'a bare carriage return': `${post}X: y\rTransfer-Encoding: chunked\r\n\r\n${chunked}`,
  'a chunk size that overflows': `${post}Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF0\r\n${inner}`,
  'a chunk size with a sign': `${post}Transfer-Encoding: chunked\r\n\r\n-1\r\n${inner}`,
  'a chunk that ends with a line feed': `${post}Transfer-Encoding: chunked\r\n\r\n2;x\n{}\r\n0\r\n\r\n${inner}`,
  'an upgrade': `GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`,
}

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${more}\r\n`

/** What is no HTTP/1.1 request, or only just one. */
export const strange: Record<string, string | Buffer> = {
  nothing: '\r\n\r\n',
  'no HTTP': 'hello\r\n\r\n',
  'the ninth part of HTTP': 'GET /\r\n\r\n',
  'another version': 'GET / HTTP/9.9\r\nHost: localhost\r\n\r\n',
  'HTTP/2 at once': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'a TLS greeting': Buffer.from('16030100c8010000c40303' + '00'.repeat(190), 'hex'),
  'an SSH greeting': 'SSH-2.0-OpenSSH_9.9\r\n\r\n',
  'no host': 'GET /sign-in HTTP/1.1\r\nConnection: close\r\n\r\n',
  'two hosts': `GET /sign-in HTTP/1.1\r\nHost: localhost\r\nHost: elsewhere.example\r\nConnection: close\r\n\r\n`,
  'another host': 'GET /sign-in HTTP/1.1\r\nHost: elsewhere.example\r\nConnection: close\r\n\r\n',
  'a host of nonsense': 'GET /sign-in HTTP/1.1\r\nHost: "><script>elsewhere.example\r\nConnection: close\r\n\r\n',
  'another host in the address':
    'GET http://elsewhere.example/sign-in HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
  'a tunnel': 'CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n',
  'a star': 'OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
  'a made-up method': 'MAKE /sign-in HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
  'a method in small letters': 'get /sign-in HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
  'an address with a space': get('/sign in'),
  'an address with a NUL': get('/sign-in\u0000'),
  'an address that is no UTF-8': get('/transfers/%ff%fe'),
  'an address with bytes as they are': get('/transfers/\u00ff\u00fe'),
  'an address with half an escape': get('/transfers/%'),
  'an address without a beginning': get('sign-in'),
  'an address of backslashes': get('/..\\..\\etc/passwd'),
  'an address of two slashes': get('//nowhere.example/%2e%2e'),
  'an address of dots': get('/assets/..%2f..%2f..%2fetc%2fpasswd'),
  'a long address': get(`/transfers/${'a'.repeat(2_000)}`),
  'an address that is too long': get(`/${'a'.repeat(70_000)}`),
  'a header that is too long': get('/sign-in', `X: ${'y'.repeat(70_000)}\r\n`),
  'a thousand headers': get('/sign-in', Array.from({ length: 1_000 }, (_, n) => `x${n}: y\r\n`).join('')),
  'a hundred thousand headers': get('/sign-in', 'a: b\r\n'.repeat(100_000)),
  'a header without a name': get('/sign-in', ': x\r\n'),
  'a header without a colon': get('/sign-in', 'nothing\r\n'),
  'a header with a NUL': get('/sign-in', 'X: a\u0000b\r\n'),
  'a header with bytes': get('/sign-in', 'X: \u00ff\u00fe\r\nCookie: safehand=\u00ff\r\n'),
  'a header called __proto__': get('/sign-in', '__proto__: x\r\nconstructor: y\r\n'),
  'cookies by the hundred': get('/sign-in', `Cookie: ${'a=b; '.repeat(1_000)}\r\n`),
  'two kinds of authorisation': get(
    '/account',
    'Authorization: Bearer aaaaaaaaaaaaaaaaaaaaaaaa\r\nAuthorization: Basic YTpi\r\n',
  ),
  'a strange expectation': get('/sign-in', 'Expect: 200-maybe\r\n'),
  'a websocket':
    'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  'a body with a GET': get('/sign-in', 'Content-Length: 5\r\n').concat('hello'),
  'a body that is compressed': `${post}Content-Encoding: gzip\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`,
  'a body of small chunks': `${post}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n${'1\r\n \r\n'.repeat(2_000)}2\r\n{}\r\n0\r\n\r\n`,
  'a chunk with a long extension': `${post}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`,
  trailers: `${post}Transfer-Encoding: chunked\r\nTrailer: Authorization\r\nConnection: close\r\n\r\n2\r\n{}\r\n0\r\nAuthorization: Bearer aaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n`,
  'a type with two names':
    'POST /api/transfers HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}',
}

/** The beginning of something that does not come: the server waits, and others are served meanwhile. */
export const unfinished: Record<string, string> = {
  'half a line': 'GET /sign',
  'half the headers': 'GET /sign-in HTTP/1.1\r\nHost: localh',
  'half a body': `${post}Content-Length: 500\r\n\r\n{"a":`,
  'half a chunk': `${post}Transfer-Encoding: chunked\r\n\r\nff\r\n{`,
  'a promise': `${post}Expect: 100-continue\r\nContent-Length: 500\r\n\r\n`,
}

export const pipelined = (count: number): string =>
  Array.from(
    { length: count },
    (_, n) =>
      `GET /problems/${n % 2 ? 'not-found' : 'not-allowed'} HTTP/1.1\r\nHost: localhost\r\n${n === count - 1 ? 'Connection: close\r\n' : ''}\r\n`,
  ).join('')
