import { strict as assert } from 'assert'
import { spawn, spawnSync } from 'child_process'
import { createHash } from 'crypto'
import * as fs from 'fs'
import { createServer, IncomingMessage, RequestListener, ServerResponse } from 'http'
import { AddressInfo, createServer as createTcpServer } from 'net'
import { basename, join } from 'path'
import { loadMnist, urlretrieve } from 'miniai/files'
import { temporary } from './folders'

const body = Buffer.from(Array.from({ length: 200000 }, (_, i) => (i * i) >> 7 & 255))
const other = Buffer.from(body).reverse()
const sha256 = (o: Buffer) => createHash('sha256').update(o).digest('hex')
const closers: (() => void)[] = []
const load = join(__dirname, '../scripts/load.cjs'), files = join(__dirname, '../miniai/files.ts')
let dir = '', path = '', part = ''

/** A test with an empty folder of its own; its servers are closed behind it. */
const scene = (title: string, f: () => Promise<void>) => it(title, async function () {
  this.timeout(180_000)
  dir = temporary()
  path = join(dir, 'sub/file.bin')
  part = `${path}.${process.pid}.part`
  try { await f() } finally { for (const close of closers.splice(0)) close() }
})

/** The beginning of a program that downloads. */
const call = (url: string) => `require(${JSON.stringify(files)}).urlretrieve('${url}', '${path}'`

/** A server; gives its address and the list of what was asked. */
async function serve(answer: (req: IncomingMessage, res: ServerResponse, n: number) => void) {
  const asked: string[] = []
  const listener: RequestListener = (req, res) => {
    asked.push(`${req.url} ${req.headers.range ?? 'all'}`)
    answer(req, res, asked.length)
  }
  const server = createServer(listener)
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  closers.push(() => { server.close(); server.closeAllConnections() })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

function startOf({ headers }: IncomingMessage): number {
  return Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0)
}

/** Answer as a good server does: ranges, and `If-Range` with the version. */
function good(req: IncomingMessage, res: ServerResponse, o = body, etag = '"one"', end = o.length) {
  const same = [undefined, etag].includes(req.headers['if-range'] as string)
  const from = same ? startOf(req) : 0
  if (from > o.length) return void res.writeHead(416).end()
  const range = from ? { 'content-range': `bytes ${from}-${o.length - 1}/${o.length}` } : {}
  res.writeHead(from ? 206 : 200, { etag, 'content-length': o.length - from, ...range })
  if (end >= o.length) res.end(o.subarray(from))
  else res.write(o.subarray(from, end), () => setTimeout(() => res.destroy(), 20))
}

const left = () => fs.existsSync(join(dir, 'sub')) ? fs.readdirSync(join(dir, 'sub')) : []
const arrived = (o = body) => {
  assert.deepEqual(left(), ['file.bin'])
  assert.ok(fs.readFileSync(path).equals(o))
}

scene('urlretrieve(url, path) makes the folder, reports progress, asks once only', async () => {
  const { url, asked } = await serve((req, res) => good(req, res)), seen: [number, number?][] = []
  assert.equal(await urlretrieve(url, path, { onProgress: (...o) => seen.push(o) }), path)
  arrived()
  assert.deepEqual(seen.at(-1), [body.length, body.length])
  assert.ok(seen.every(([done], i) => !i || done > seen[i - 1][0]))
  await urlretrieve(url, path)
  assert.deepEqual(asked, ['/ all'])
})

scene('urlretrieve(url, path) goes on where the server broke off', async () => {
  const { url, asked } = await serve((req, res, n) =>
    good(req, res, body, '"one"', n < 6 ? n * 30000 : undefined))
  await urlretrieve(url, path, { sha256: sha256(body) })
  arrived()
  assert.deepEqual(asked, ['/ all', ...[1, 2, 3, 4, 5].map(n => `/ bytes=${n * 30000}-`)])
})

scene('urlretrieve(url, path) goes on with what an earlier program left', async () => {
  const { url, asked } = await serve((req, res, n) =>
    good(req, res, body, '"one"', n <= 4 ? 50000 : undefined))
  await assert.rejects(urlretrieve(url, path), /could not be had/)
  assert.deepEqual(left(), [part, part.replace('.part', '.tag.part')].map(o => basename(o)))
  await urlretrieve(url, path)
  arrived()
  assert.equal(asked.at(-1), '/ bytes=50000-')
})

scene('urlretrieve(url, path) starts again when the file has changed in between', async () => {
  const { url } = await serve((req, res, n) => n < 2 ? good(req, res, body, '"one"', 90000)
    : good(req, res, other, '"two"'))
  await urlretrieve(url, path, { sha256: sha256(other) })
  arrived(other)
})

scene('urlretrieve(url, path) notices a changed file if the server ignores If-Range', async () => {
  const { url } = await serve((req, res, n) => {
    if (n > 1) delete req.headers['if-range']
    n < 2 ? good(req, res, body, '"one"', 90000) : good(req, res, other, '"two"')
  })
  await urlretrieve(url, path)
  arrived(other)
})

scene('urlretrieve(url, path) starts again at a server that ignores Range', async () => {
  const { url, asked } = await serve((req, res, n) => {
    delete req.headers.range
    good(req, res, body, '"one"', n < 2 ? 90000 : undefined)
  })
  await urlretrieve(url, path)
  arrived()
  assert.deepEqual(asked, ['/ all', '/ bytes=90000-'])
})

scene('urlretrieve(url, path) does not go on without a strong mark of the version', async () => {
  for (const etag of ['', 'W/"one"']) {
    const { url, asked } = await serve((req, res, n) =>
      good(req, res, body, etag, n < 2 ? 90000 : undefined))
    await urlretrieve(url, path)
    arrived()
    assert.deepEqual(asked, ['/ all', '/ all'])
    fs.rmSync(path)
  }
})

scene('urlretrieve(url, path, {sha256}) starts again when the part is damaged', async () => {
  const { url } = await serve((req, res, n) =>
    good(req, res, body, '"one"', n <= 4 ? 50000 : undefined))
  await assert.rejects(urlretrieve(url, path))
  fs.writeFileSync(part, Buffer.alloc(50000))
  await urlretrieve(url, path, { sha256: sha256(body) })
  arrived()
})

scene('urlretrieve(url, path) starts again when the part is too long (416)', async () => {
  const { url } = await serve((req, res, n) => n > 4 ? good(req, res, body.subarray(0, 1000))
    : good(req, res, body, '"one"', 50000))
  await assert.rejects(urlretrieve(url, path))
  await urlretrieve(url, path)
  arrived(body.subarray(0, 1000))
})

scene('urlretrieve(url, path) follows redirects', async () => {
  const { url, asked } = await serve((req, res) => req.url === '/c' ? good(req, res)
    : void res.writeHead(req.url === '/a' ? 302 : 307,
      { location: req.url === '/a' ? '/b' : '/c' }).end())
  await urlretrieve(`${url}/a`, path)
  arrived()
  assert.deepEqual(asked, ['/a all', '/b all', '/c all'])
})

scene('urlretrieve(url, path) ends at a redirect in a circle', async () => {
  const { url } = await serve((_, res) => void res.writeHead(302, { location: '/' }).end())
  await assert.rejects(urlretrieve(url, path), /redirect count exceeded/)
  assert.deepEqual(left(), [])
})

scene('urlretrieve(url, path) takes a file of unknown length', async () => {
  const { url } = await serve((_, res) => {
    res.write(body.subarray(0, 1000))
    res.end(body.subarray(1000))
  })
  const seen: [number, number?][] = []
  await urlretrieve(url, path, { onProgress: (...o) => seen.push(o) })
  arrived()
  assert.deepEqual(seen.at(-1), [body.length, undefined])
})

scene('urlretrieve(url, path) takes an empty file', async () => {
  const { url } = await serve((_, res) => void res.end())
  await urlretrieve(url, path)
  arrived(Buffer.alloc(0))
})

scene('urlretrieve(url, path) refuses fewer bytes than were promised', async () => {
  const { url, asked } = await serve((_, res) => {
    res.writeHead(200, { 'content-length': body.length + 10 })
    res.write(body, () => setTimeout(() => res.destroy(), 20))
  })
  await assert.rejects(urlretrieve(url, path), /could not be had\.\n {2}http:.*: /)
  assert.ok(!fs.existsSync(path))
  assert.equal(asked.length, 4)
})

scene('urlretrieve(url, path, {sha256}) refuses more bytes than were promised', async () => {
  const server = createTcpServer(o => {
    o.on('error', () => {})
    const head = ['HTTP/1.1 200 OK', 'content-length: 5', 'connection: close'].join('\r\n')
    o.once('data', () => o.end(`${head}\r\n\r\nhello and more`))
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  closers.push(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  await assert.rejects(urlretrieve(url, path, { sha256: sha256(Buffer.from('hello and more')) }),
    /refused|response/)
  assert.ok(!fs.existsSync(path))
})

scene('urlretrieve(url, path, {sha256}) refuses a wrong sum and keeps nothing', async () => {
  const { url } = await serve((req, res) => good(req, res)), wrong = 'ab'.repeat(32)
  await assert.rejects(urlretrieve(url, path, { sha256: wrong }), (e: Error) =>
    e.message.includes(`its sha256 is ${sha256(body)}, expected ${wrong}`)
      && e.message.includes(url))
  assert.deepEqual(left(), [])
})

scene('urlretrieve(url, path, {sha256}) accepts one of several sums, also git’s id', async () => {
  const { url } = await serve((req, res) => good(req, res))
  const git = createHash('sha1').update(`blob ${body.length}\0`).update(body).digest('hex')
  await urlretrieve(url, path, { sha256: ['ab'.repeat(32), git.toUpperCase()] })
  arrived()
})

scene('urlretrieve(url, path, {sha256}) keeps a right file and replaces a wrong one', async () => {
  const { url, asked } = await serve((req, res) => good(req, res))
  fs.mkdirSync(join(dir, 'sub'))
  fs.writeFileSync(path, body)
  await urlretrieve(url, path, { sha256: sha256(body) })
  assert.deepEqual(asked, [])
  fs.writeFileSync(path, other)
  await assert.rejects(urlretrieve(`${url}/x`, path, { sha256: sha256(Buffer.alloc(1)) }))
  arrived(other)
  await urlretrieve(url, path, { sha256: sha256(body) })
  arrived()
})

scene('urlretrieve(url, path, {mirrors}) tries them in turn and says why each failed', async () => {
  const gone = await serve((_, res) => void res.writeHead(404).end('no such file'))
  const wrong = await serve((req, res) => good(req, res, other))
  const right = await serve((req, res) => good(req, res))
  const closed = await serve(() => {})
  closers.pop()!()
  const mirrors = [closed.url, wrong.url, right.url]
  await urlretrieve(gone.url, path, { mirrors, sha256: sha256(body) })
  arrived()
  fs.rmSync(path)
  await assert.rejects(urlretrieve(gone.url, path,
    { mirrors: mirrors.slice(0, 2), sha256: sha256(body) }),
    /could not be had\.\n.*404 Not Found\n.*ECONNREFUSED.*\n.*its sha256 is/)
  assert.equal(gone.asked.length, 2)
  assert.deepEqual(left(), [])
})

scene('urlretrieve(url, path, {timeout}) gives up silence, and waits for a slow one', async () => {
  const silent = await serve(() => {})
  const start = performance.now()
  await assert.rejects(urlretrieve(silent.url, path, { timeout: 100 }), /not a byte for 0.1 s/)
  assert.ok(performance.now() - start < 5000)
  const ten = { 'content-length': 10 }
  const stuck = await serve((_, res) => void res.writeHead(200, ten).write('a'))
  await assert.rejects(urlretrieve(stuck.url, path, { timeout: 100 }), /not a byte for 0.1 s/)
  const slow = await serve((_, res) => {
    let n = 0
    const timer = setInterval(() => {
      if (++n <= 10) return void res.write('a')
      clearInterval(timer)
      res.end()
    }, 50)
  })
  await urlretrieve(slow.url, path, { timeout: 300 })
  arrived(Buffer.from('aaaaaaaaaa'))
})

scene('urlretrieve(url, path) refuses what is no address', async () => {
  await assert.rejects(urlretrieve('nonsense', path), /nonsense: .*Invalid URL/)
})

scene('urlretrieve(url, path) takes over a dead program\'s part, not a living one\'s', async () => {
  const { url, asked } = await serve((req, res) => good(req, res))
  fs.mkdirSync(join(dir, 'sub'))
  const begun = (pid: number) => {
    fs.writeFileSync(`${path}.${pid}.part`, body.subarray(0, 30000))
    fs.writeFileSync(`${path}.${pid}.tag.part`, `${url}\n"one"`)
  }
  begun(process.ppid)
  await urlretrieve(url, path)
  assert.equal(left().length, 3)
  fs.rmSync(join(dir, 'sub'), { recursive: true })
  fs.mkdirSync(join(dir, 'sub'))
  const dead = spawnSync(process.execPath, ['-e', '']).pid
  begun(dead)
  await urlretrieve(url, path)
  arrived()
  assert.deepEqual(asked, ['/ all', '/ bytes=30000-'])
})

scene('urlretrieve(url, path) by three programs at once gives one whole file', async () => {
  const { url } = await serve((req, res, n) =>
    good(req, res, body, '"one"', n < 9 ? n * 20000 : undefined))
  const code = `${call(url)})`
  const run = () => new Promise<number | null>(done =>
    spawn(process.execPath, ['-r', load, '-e', code], { stdio: 'inherit' }).on('exit', done))
  assert.deepEqual(await Promise.all([run(), run(), run()]), [0, 0, 0])
  arrived()
})

scene('loadMnist(path) downloads a missing file from the addresses in settings.ini', async () => {
  const real = fs.readFileSync(join(__dirname, '../nbs/data/mnist.pkl.gz'))
  const fetchReal = globalThis.fetch
  const { url } = await serve((req, res) => good(req, res, real)), asked: string[] = []
  globalThis.fetch = (o, init) => { asked.push(String(o)); return fetchReal(url, init) }
  try {
    const { test } = await loadMnist(path)
    assert.deepEqual(test.x.shape, [10000, 784])
  } finally { globalThis.fetch = fetchReal }
  assert.match(asked[0], /mnist\.pkl\.gz/)
  arrived(real)
})

scene('urlretrieve killed 50 times leaves no half file, and the next run completes', async () => {
  const large = Buffer.concat(Array(10).fill(body)), sum = sha256(large)
  const { url } = await serve((req, res) => {
    const from = req.headers['if-range'] === '"one"' ? startOf(req) : 0
    const length = large.length, head = { etag: '"one"', 'content-length': length - from }
    const range = from ? { 'content-range': `bytes ${from}-${length - 1}/${length}` } : {}
    res.writeHead(from ? 206 : 200, { ...head, ...range })
    let at = from
    const timer = setInterval(() => {
      if (res.destroyed || at >= large.length) { clearInterval(timer); return void res.end() }
      res.write(large.subarray(at, at += 20000))
    }, 1)
  })
  const code = `${call(url)}, { onProgress: () => process.send('byte') })`
  const run = (delay: number) => new Promise<string>(done => {
    const child = spawn(process.execPath, ['-r', load, '-e', code],
      { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    const kill = () => { if (delay < Infinity) setTimeout(() => child.kill('SIGKILL'), delay) }
    child.once('message', kill)
    child.on('exit', (_, signal) => done(signal ?? ''))
  })
  const sizes = () => left().map(o => fs.statSync(join(dir, 'sub', o)).size)
  let kills = 0, resumed = 0, finished = 0
  for (let i = 0; kills < 50; i++) {
    if (await run(i * 7 % 60) === 'SIGKILL') kills++
    if (fs.existsSync(path)) {
      assert.equal(sha256(fs.readFileSync(path)), sum)
      fs.rmSync(path)
      finished++
    } else if (sizes().some(o => o > 60000)) resumed++
  }
  assert.equal(await run(Infinity), '')
  assert.equal(sha256(fs.readFileSync(path)), sum)
  assert.deepEqual(left(), ['file.bin'])
  assert.ok(resumed > 5 && finished < 60)
}).timeout(60000)
