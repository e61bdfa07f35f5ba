import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, IncomingMessage, ServerResponse } from 'node:http'
import { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { openCheckpoint } from 'miniai/weights'
import { download, Manner, Order, orderOf } from '../scripts/weights'
import { tiny } from './checkpoints'
import { temporary } from './folders'

type Files = Record<string, Buffer>
type Answer = (req: IncomingMessage, res: ServerResponse, file: Buffer, name: string) => void
const real: Files = Object.fromEntries((readdirSync(tiny, { recursive: true }) as string[])
  .filter(o => o.endsWith('.json') || /\/\w+\.safetensors$/.test(o)).map(o => [o, readFileSync(join(tiny, o))]))
const unet = 'unet/diffusion_pytorch_model.safetensors'
const others: Files = { 'README.md': Buffer.from('hello'), 'v1-5-pruned.ckpt': Buffer.alloc(5000), 'unet/diffusion_pytorch_model.bin': Buffer.alloc(5000),
  'unet/diffusion_pytorch_model.non_ema.safetensors': Buffer.alloc(5000), 'safety_checker/model.safetensors': Buffer.alloc(5000) }
const sum = (bytes: Buffer, git: boolean) => git
  ? createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex') : createHash('sha256').update(bytes).digest('hex')
const isLarge = (o: Buffer) => o.length > 2000

/** Answers as the hub: a range of the file, large files from another address. */
const good: Answer = (req, res, file, name) => {
  const [, from, to] = /bytes=(\d+)-(\d*)/.exec(req.headers.range ?? '') ?? [], last = to ? Math.min(Number(to), file.length - 1) : file.length - 1
  if (isLarge(file) && !req.url!.startsWith('/cdn/')) {
    return void res.writeHead(302, { location: `/cdn/${name}`, 'x-linked-etag': `"${sum(file, false)}"` }).end()
  }
  if (from === undefined) return void res.writeHead(200, { 'content-length': file.length, etag: '"x"' }).end(file)
  const range = `bytes ${from}-${last}/${file.length}`
  res.writeHead(206, { 'content-range': range, 'content-length': last - Number(from) + 1, etag: '"x"' }).end(file.subarray(Number(from), last + 1))
}
/** As `good`, but the file's bytes end at `at(n)` at the nth real request for it. */
function breaking(at: (n: number) => number): Answer {
  let n = 0
  return (req, res, file, name) => {
    const isProbe = req.headers.range === 'bytes=0-0', end = name === unet && req.url!.startsWith('/cdn/') && !isProbe ? at(++n) : Infinity
    if (end >= file.length) return good(req, res, file, name)
    const from = Number(/bytes=(\d+)/.exec(req.headers.range ?? '')?.[1] ?? 0), range = { 'content-range': `bytes ${from}-${file.length - 1}/${file.length}` }
    res.writeHead(from ? 206 : 200, { etag: '"x"', 'content-length': file.length - from, ...from ? range : {} })
    res.write(file.subarray(from, end), () => setTimeout(() => res.destroy(), 20))
  }
}

const closers: (() => void)[] = [], endpoint = process.env.HF_ENDPOINT
afterEach(() => {
  for (const close of closers.splice(0)) close()
  process.env.HF_ENDPOINT = endpoint ?? ''
  delete process.env.HF_TOKEN
})

/** A hub with one repository, on this machine; gives what was asked of it. */
async function hub(files: Files, answer: Answer = good, change: (list: any[]) => any = o => o): Promise<string[]> {
  const asked: string[] = []
  const server = createServer((req, res) => {
    asked.push(`${req.url} ${req.headers.range ?? ''}`.trim())
    if (req.headers.authorization) asked.push(req.headers.authorization)
    if (/^\/api\/models\/a\/b\/tree\/main\?/.test(req.url!)) {
      const list = Object.entries(files).map(([path, o]) => ({ type: 'file', path, size: o.length, oid: sum(o, true),
        ...isLarge(o) && { lfs: { oid: sum(o, false), size: o.length, pointerSize: 130 } } }))
      const found = change([...list, { type: 'directory', path: 'unet', size: 0, oid: 'ab' }])
      return void res.writeHead(200, { 'content-type': 'application/json' }).end(typeof found === 'string' ? found : JSON.stringify(found))
    }
    const name = decodeURIComponent(/^\/(?:a\/b\/resolve\/main|cdn)\/(.*)/.exec(req.url!)?.[1] ?? '')
    if (files[name]) answer(req, res, files[name], name)
    else res.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"Repository not found"}')
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  closers.push(() => { server.close(); server.closeAllConnections() })
  process.env.HF_ENDPOINT = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return asked
}
const order = (more: Partial<Order> = {}): Order => ({ repo: 'a/b', revision: 'main', out: join(temporary(), 'x'), ...more })
const quiet: Manner = { say: () => {}, pause: 1 }
const left = (dir: string) => existsSync(dir) ? (readdirSync(dir, { recursive: true }) as string[]).filter(o => statSync(join(dir, o)).isFile()).sort() : []
const downloads = (asked: string[]) => asked.filter(o => o.startsWith(`/cdn/${unet}`) && !o.endsWith('bytes=0-0'))
const complete = (dir: string, files: Files = real) => {
  assert.deepEqual(left(dir), Object.keys(files).sort())
  for (const [name, bytes] of Object.entries(files)) assert.ok(readFileSync(join(dir, name)).equals(bytes), name)
}
async function refused(o: Order, why: RegExp, options = quiet): Promise<void> {
  await assert.rejects(download(o, options), (e: Error) => e.constructor === Error && /^weights: [^\n]+$/.test(e.message) && why.test(e.message) || assert.fail(e.message))
}

it('download gets the files that openCheckpoint reads and no others, once', async () => {
  const asked = await hub({ ...real, ...others }), said: string[] = [], o = order()
  assert.equal(await download(o, { say: line => said.push(line) }), o.out)
  complete(o.out)
  assert.equal(openCheckpoint(o.out).unet.config.crossAttentionDim, 32)
  assert.match(said.join('\n'), /^a\/b, main: 8 files, 0 of them there; 10\.6 MB to come, to .*x$/)
  const before = asked.length
  await download(o, quiet)
  assert.deepEqual(asked.slice(before).map(o => o.replace(/\?.*/, '')), ['/api/models/a/b/tree/main'])
})

it('download goes on where the server breaks off', async () => {
  const asked = await hub(real, breaking(n => n < 8 ? n * 100_000 : Infinity)), o = order()
  await download(o, quiet)
  complete(o.out)
  const all = real[unet].length - 1
  assert.deepEqual(downloads(asked).map(o => o.split(' ')[1] ?? ''), ['', ...[1, 2, 3, 4, 5, 6, 7].map(n => `bytes=${n * 100_000}-${all}`)])
})

it('download gives up when it gets on no more, says so, and the next run goes on', async () => {
  const o = order()
  await hub(real, breaking(() => 300_000))
  await refused(o, /^weights: unet\/diffusion_pytorch_model.safetensors of a\/b could not be had from http:\S+: /)
  assert.ok(left(o.out).some(name => /^unet\/diffusion_pytorch_model.safetensors\.\w+\.part$/.test(name)), `${left(o.out)}`)
  closers.splice(0).forEach(close => close())
  const asked = await hub(real)
  await download(o, quiet)
  complete(o.out)
  assert.deepEqual(downloads(asked), [`/cdn/${unet} bytes=300000-${real[unet].length - 1}`])
})

it('download begins a file again when its part is damaged', async () => {
  const o = order(), to = join(o.out, unet), part = `${to}.${sum(real[unet], false).slice(0, 16)}.part`
  await hub(real)
  mkdirSync(dirname(part), { recursive: true })
  for (const damaged of [Buffer.alloc(1000), Buffer.alloc(real[unet].length), Buffer.alloc(real[unet].length + 1)]) {
    rmSync(to, { force: true })
    writeFileSync(part, damaged)
    await download(o, quiet)
    complete(o.out)
  }
})

it('download begins a file again at a server that cannot go on in the middle', async () => {
  const cutting = breaking(n => n < 2 ? 100_000 : Infinity), o = order()
  await hub(real, (req, res, file, name) => {
    if (name === unet && req.url!.startsWith('/cdn/') && req.headers.range !== 'bytes=0-0') delete req.headers.range
    cutting(req, res, file, name)
  })
  await download(o, quiet)
  complete(o.out)
})

it('download refuses wrong bytes, and what was there stays', async () => {
  const o = order(), old = Buffer.from('an older model')
  mkdirSync(join(o.out, 'unet'), { recursive: true })
  writeFileSync(join(o.out, unet), old)
  await hub(real, (req, res, file, name) => good(req, res, name === unet ? Buffer.alloc(file.length, 1) : file, name))
  await refused(o, /: unet\/diffusion_pytorch_model.safetensors was refused: its sum is [0-9a-f]{64}, expected [0-9a-f]{64}$/)
  assert.ok(readFileSync(join(o.out, unet)).equals(old))
  assert.deepEqual(left(o.out).filter(name => name.endsWith('.part')), [])
  const change = (o: Buffer) => { const b = Buffer.from(o); b[5] ^= 1; return b }
  await hub(real, (req, res, file, name) => good(req, res, name === 'vae/config.json' ? change(file) : file, name))
  await refused(order(), /: vae\/config.json was refused: its sum is [0-9a-f]{40}, expected [0-9a-f]{40}$/)
})

it('download refuses another length than was promised', async () => {
  for (const by of [-7, 7]) {
    const lie = (o: Buffer) => Buffer.concat([o, Buffer.alloc(10)]).subarray(0, o.length + by), n = real[unet].length
    await hub(real, (req, res, file, name) => good(req, res, name === unet ? lie(file) : file, name))
    await refused(order(), new RegExp(`: unet/\\S+ of a/b could not be had from \\S+: ${n + by} bytes are offered, ${n} were promised$`))
  }
})

it('download refuses more and fewer bytes than were offered', async () => {
  for (const by of [-7, 7]) {
    const lie = (o: Buffer) => Buffer.concat([o, Buffer.alloc(10)]).subarray(0, o.length + by), o = order()
    await hub(real, (req, res, file, name) => {
      if (name !== unet || !req.url!.startsWith('/cdn/') || req.headers.range === 'bytes=0-0') return good(req, res, file, name)
      const from = Number(/bytes=(\d+)/.exec(req.headers.range ?? '')?.[1] ?? 0)
      res.writeHead(from ? 206 : 200).end(lie(file).subarray(from))
    })
    const n = real[unet].length
    await refused(o, by < 0 ? new RegExp(`: it broke off at byte ${n - 7} of ${n}$`) : new RegExp(`: more than ${n} bytes came$`))
    assert.ok(!existsSync(join(o.out, unet)))
  }
})

it('download gives up silence, and says how long it waited', async () => {
  await hub(real, (req, res, file, name) => {
    if (name !== unet || !req.url!.startsWith('/cdn/') || req.headers.range === 'bytes=0-0') return good(req, res, file, name)
    res.writeHead(200, { 'content-length': file.length }).write(file.subarray(0, 1000))
  })
  await refused(order(), /could not be had from \S+: not a byte for 0.3 s$/, { ...quiet, silence: 300 })
})

const answers: [number, RegExp][] = [
  [404, /^weights: http:\S+ has no list of files of a\/b, revision main \(404\)$/],
  [401, /^weights: http:\S+ does not give a\/b \(401\): is the name right, are its terms accepted, is HF_TOKEN set\?$/],
  [403, /^weights: http:\S+ does not give a\/b \(403\): is the name right/],
  [500, /^weights: list of files of a\/b could not be had from http:\S+: the hub answers 500$/]
]
for (const [status, why] of answers) {
  it(`download says in one sentence what ${status} means`, async () => {
    const server = createServer((_, res) => void res.writeHead(status, { 'content-type': 'text/html' }).end('<html>no</html>'))
    await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
    closers.push(() => { server.close(); server.closeAllConnections() })
    process.env.HF_ENDPOINT = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    await refused(order(), why)
  })
}

it('download says in one sentence that a file is gone, or wants leave', async () => {
  for (const [status, why] of [[404, /has no unet\/diffusion_pytorch_model.safetensors of a\/b, revision main \(404\)$/], [403, /does not give a\/b \(403\)/]] as const) {
    await hub(real, (req, res, file, name) => name === unet ? void res.writeHead(status).end() : good(req, res, file, name))
    await refused(order(), why)
  }
})

it('download says in one sentence that there is no hub, or that it speaks something else', async () => {
  await hub(real)
  closers.splice(0).forEach(close => close())
  await refused(order(), /list of files of a\/b could not be had from http:\S+: (ECONNREFUSED|connect)/)
  await hub(real, good, () => '<html>a portal</html>')
  await refused(order(), /list of files of a\/b could not be had from .*: .*JSON/)
  await hub(real, good, all => all.map(o => ({ ...o, oid: undefined, lfs: undefined })))
  await refused(order(), /the hub lists \S+ without a size and a sum$/)
})

it('download(order with a variant) takes it where it is, and refuses one that is nowhere', async () => {
  const half = Buffer.alloc(3000, 7), files = { ...real, ...others, [unet.replace('.safe', '.fp16.safe')]: half }
  const { [unet]: _, ...rest } = real, o = order({ variant: 'fp16' })
  await hub(files)
  await download(o, quiet)
  complete(o.out, { ...rest, [unet.replace('.safe', '.fp16.safe')]: half })
  await refused(order({ variant: 'int8' }), /a\/b has no variant "int8"$/)
  const said: string[] = []
  await download(order(), { ...quiet, say: line => said.push(line) })
  assert.deepEqual(said.slice(1), ['with --variant fp16 it would be about half of that'])
})

it('download gets all pieces of a part and their list', async () => {
  const list = `${unet}.index.json`, pieces = [1, 2].map(k => unet.replace('.safe', `-0000${k}-of-00002.safe`)), { [unet]: whole, ...rest } = real, o = order()
  const cut = { ...rest, [list]: Buffer.from('{}'), [pieces[0]]: whole.subarray(0, 9999), [pieces[1]]: whole.subarray(9999) }
  await hub({ ...cut, ...others, [pieces[0].replace('.safe', '.non_ema.safe')]: Buffer.alloc(3000) })
  await download(o, quiet)
  complete(o.out, cut)
})

it('download(order with a file) gets one file; without model_index.json the single files are named', async () => {
  const files = { 'v1-4.ckpt': Buffer.alloc(5000, 3), 'v1-4-full.ckpt': Buffer.alloc(10), 'unet/x.safetensors': Buffer.alloc(10) }, o = order({ file: 'v1-4.ckpt' })
  await hub(files)
  assert.equal(await download(o, quiet), join(o.out, 'v1-4.ckpt'))
  complete(o.out, { 'v1-4.ckpt': files['v1-4.ckpt'] })
  await refused(order({ file: 'v2.ckpt' }), /a\/b has no single file "v2.ckpt"; it has v1-4.ckpt, v1-4-full.ckpt$/)
  await refused(order(), /a\/b has no model_index.json; single files for --file: v1-4.ckpt, v1-4-full.ckpt$/)
})

it('download sends HF_TOKEN', async () => {
  process.env.HF_TOKEN = 'hf_secret'
  const asked = await hub(real)
  await download(order(), quiet)
  assert.ok(asked.includes('Bearer hf_secret'))
})

it('download refuses a folder into which another one is running', async () => {
  const o = order()
  await hub(real)
  mkdirSync(o.out, { recursive: true })
  writeFileSync(join(o.out, '.weights.part'), String(process.ppid))
  await refused(o, new RegExp(`another download into ${o.out} is running \\(process ${process.ppid}\\)$`))
  writeFileSync(join(o.out, '.weights.part'), String(spawnSync(process.execPath, ['-e', '']).pid))
  await download(o, quiet)
  complete(o.out)
})

it('orderOf(words) reads the command line, and refuses what it does not know', () => {
  assert.deepEqual(orderOf(['a/b', '--variant', 'fp16', '--out=/x'], '/root'), { repo: 'a/b', revision: 'main', out: '/x', variant: 'fp16', file: undefined })
  assert.deepEqual(orderOf(['--revision', 'v1', 'a/b'], '/root').out, '/root/.cache/models/a/b')
  assert.throws(() => orderOf([]), /^Error: weights: wanted one owner\/name, as in owner\/name --revision main .*, got ""$/)
  for (const wrong of ['a', 'a/b/c', '../b', 'a/..', 'https://x/y']) assert.throws(() => orderOf([wrong]), /wanted one owner\/name/)
  assert.throws(() => orderOf(['a/b', 'c/d']), /wanted one owner\/name, .*, got "a\/b c\/d"$/)
  assert.throws(() => orderOf(['a/b', '--cout', 'x']), /what is "--cout"\? Known is owner\/name --revision/)
  assert.throws(() => orderOf(['a/b', '--out']), /--out wants a value/)
})

it('npm run weights says a refusal in one line, without a stack', () => {
  const { stderr, status } = spawnSync(process.execPath, ['-r', './scripts/load.cjs', 'scripts/weights.ts', 'a'], { cwd: join(__dirname, '..'), encoding: 'utf8' })
  assert.match(stderr, /^weights: wanted one owner\/name, as in [^\n]*, got "a"\n$/)
  assert.equal(status, 1)
})
