// Do not edit: made by "npm run export" from ../nbs/01_files.ipynb (b0b2a4278938)
// From an address on the web to 70,000 handwritten digits in memory: folders, downloads, gzip, and Python's pickles.

import { spawnSync } from 'child_process'
import { createHash } from 'crypto'
import * as fs from 'fs'
import { basename, dirname, join } from 'path'
import { inspect } from 'util'
import { constants, gunzipSync, gzipSync } from 'zlib'
import { Progress } from './plots'

// %% ../nbs/01_files.ipynb b4e232f1
/** Make the folder `path` and what is missing above it; it may be there. Gives `path` back. */
export function mkdir(path: string): string {
  fs.mkdirSync(path, { recursive: true })
  return path
}

// %% ../nbs/01_files.ipynb 407d4e31
/** Run a shell command and give back what it printed; if it fails, throw what it said. */
export function sh(command: string): string {
  const o = spawnSync(command, { shell: true, encoding: 'utf8', maxBuffer: 2 ** 28 })
  if (o.error) throw new Error(`sh: ${command}: ${o.error.message}`)
  if (o.status) throw new Error(`sh: ${command}: ended with ${o.status}: ${o.stderr.trim()}`)
  if (o.signal) throw new Error(`sh: ${command}: was stopped by ${o.signal}`)
  return o.stdout.trimEnd()
}

// %% ../nbs/01_files.ipynb e14e510f
async function digest(path: string, git: boolean): Promise<string> {
  const hash = createHash(git ? 'sha1' : 'sha256')
  if (git) hash.update(`blob ${fs.statSync(path).size}\0`)
  for await (const o of fs.createReadStream(path)) hash.update(o)
  return hash.digest('hex')
}

// %% ../nbs/01_files.ipynb 28ca9127
/** What is wrong with the file at `path`; '' if its sum is one of `sums`, or if there are none. */
async function wrongSum(path: string, sums: string[]): Promise<string> {
  for (const o of sums) if (await digest(path, o.length === 40) === o) return ''
  if (!sums.length) return ''
  return `its sha256 is ${await digest(path, false)}, expected ${sums.join(' or ')}`
}

// %% ../nbs/01_files.ipynb 3ad8de7a
const partOf = (path: string, pid = process.pid) => `${path}.${pid}.part`
const tagOf = (path: string, pid = process.pid) => `${path}.${pid}.tag.part`
const readIf = (path: string) => fs.existsSync(path) ? fs.readFileSync(path, 'utf8') : ''

function tag(res: Response): string {
  const etag = res.headers.get('etag') ?? ''
  return etag && !etag.startsWith('W/') ? etag : res.headers.get('last-modified') ?? ''
}

// %% ../nbs/01_files.ipynb ac354dee
function alive(pid: number): boolean {
  try { return process.kill(pid, 0) } catch (e: any) { return e.code === 'EPERM' }
}

function move(from: string, to: string): void {
  try { fs.renameSync(from, to) } catch (e: any) { if (e.code !== 'ENOENT') throw e }
}

// %% ../nbs/01_files.ipynb dce5d63a
/** Take over what a program that is gone has begun. */
function inherit(path: string): void {
  const name = basename(path)
  for (const o of fs.readdirSync(dirname(path))) {
    const pid = Number(o.slice(name.length).match(/^\.(\d+)\.part$/)?.[1])
    if (!o.startsWith(name) || !pid || alive(pid) || fs.existsSync(partOf(path))) continue
    fs.rmSync(tagOf(path), { force: true })
    move(partOf(path, pid), partOf(path))
    move(tagOf(path, pid), tagOf(path))
  }
}

// %% ../nbs/01_files.ipynb b0e392dc
const sizeOf = (path: string) => fs.existsSync(path) ? fs.statSync(path).size : 0

/** How many bytes of `url` lie at `path` already, and the mark of their version. */
function begun(url: string, path: string): { size: number, mark: string } {
  const [from, mark = ''] = readIf(tagOf(path)).split('\n')
  return { size: from === url && mark ? sizeOf(partOf(path)) : 0, mark }
}

// %% ../nbs/01_files.ipynb 3825beda
type Answer = { res: Response, from: number }

async function ask(url: string, path: string, signal: AbortSignal): Promise<Answer> {
  const { size, mark } = begun(url, path)
  const rest: Record<string, string> = size ? { range: `bytes=${size}-`, 'if-range': mark } : {}
  const res = await fetch(url, { signal, headers: { 'accept-encoding': 'identity', ...rest } })
  if (res.status === 200) return { res, from: 0 }
  const fits = res.headers.get('content-range')?.startsWith(`bytes ${size}-`) && tag(res) === mark
  if (res.status === 206 && size && fits) return { res, from: size }
  fs.rmSync(tagOf(path), { force: true })
  const final = res.status >= 400 && res.status < 500 && ![408, 416, 429].includes(res.status)
  throw Object.assign(new Error(`the server answered ${res.status} ${res.statusText}`), { final })
}

// %% ../nbs/01_files.ipynb 904dd54f
type Report = (done: number, total?: number) => void

function lengthOf(res: Response): number | undefined {
  const o = res.headers.get('content-range')?.split('/')[1] ?? res.headers.get('content-length')
  return o && /^\d+$/.test(o) ? Number(o) : undefined
}

/** Throw the old bytes away before the new mark is written: never a mark with other bytes. */
function restart(path: string, mark: string): void {
  fs.writeFileSync(partOf(path), '')
  fs.writeFileSync(tagOf(path), mark)
}

// %% ../nbs/01_files.ipynb 65791f10
/** Write an answer's bytes to where they belong in the part of the file. */
async function pour({ res, from }: Answer, path: string, report: Report): Promise<void> {
  const total = lengthOf(res), file = fs.openSync(partOf(path), from ? 'r+' : 'w')
  try {
    let at = from
    for await (const o of res.body ?? [])
      report(at += fs.writeSync(file, o, 0, o.length, at), total)
    if (total !== undefined && at !== total) throw new Error(`ended at byte ${at} of ${total}`)
    fs.fsyncSync(file)
  } finally { fs.closeSync(file) }
}

// %% ../nbs/01_files.ipynb db3bbdf4
type Patience = { timeout: number, report: Report }

// %% ../nbs/01_files.ipynb ca0a1e9e
async function receive(url: string, path: string, { timeout, report }: Patience): Promise<void> {
  const stop = new AbortController(), silence = new Error(`not a byte for ${timeout / 1000} s`)
  const timer = setTimeout(() => stop.abort(silence), timeout)
  try {
    const o = await ask(url, path, stop.signal)
    if (!o.from) restart(path, `${url}\n${tag(o.res)}`)
    await pour(o, path, (...now) => {
      timer.refresh()
      report(...now)
    })
  } finally { clearTimeout(timer) }
}

// %% ../nbs/01_files.ipynb c8e4cf0c
function reason(e: any): string {
  return e.cause ? reason(e.cause) : e.code ? `${e.code} ${e.message}` : e.message
}

// %% ../nbs/01_files.ipynb affe3c60
async function insist(url: string, path: string, options: Patience): Promise<void> {
  let best = sizeOf(partOf(path))
  for (let failed = 1; ; failed++) {
    try { return await receive(url, path, options) } catch (e: any) {
      const size = sizeOf(partOf(path))
      if (size > best) failed = 0
      if (failed === 3 || e.final) throw e
      best = Math.max(best, size)
      await new Promise(done => setTimeout(done, 100 * failed))
    }
  }
}

// %% ../nbs/01_files.ipynb 477ed30f
type Wishes = Patience & { sums: string[] }

async function fetchFile(url: string, path: string, { sums, ...patience }: Wishes): Promise<void> {
  const resumed = begun(url, path).size > 0
  await insist(url, path, patience)
  const wrong = await wrongSum(partOf(path), sums)
  if (!wrong) fs.renameSync(partOf(path), path)
  if (wrong) fs.rmSync(partOf(path))
  fs.rmSync(tagOf(path), { force: true })
  if (wrong && !resumed) throw new Error(`the file was refused: ${wrong}`)
  if (wrong) await fetchFile(url, path, { sums, ...patience })
}

// %% ../nbs/01_files.ipynb 145e97d7
/** How to download: sums to accept (or git's 40 digits), other addresses, ms of silence to bear. */
export type Download = {
  sha256?: string | string[], mirrors?: string[], timeout?: number, onProgress?: Report
}

// %% ../nbs/01_files.ipynb 10c84494
function liveBar(path: string): Report {
  let bar: Progress<unknown> | undefined
  return (done, total) => {
    bar ??= new Progress([], total, basename(path))
    bar.step(done - bar.count)
    if (done === total) bar.finish()
  }
}

// %% ../nbs/01_files.ipynb 63a87242
/** Get the file from the first of `urls` that has it; what went wrong with all of them, or ''. */
async function fromAny(urls: string[], path: string, wishes: Wishes): Promise<string> {
  let failed = ''
  for (const o of urls) {
    try {
      await fetchFile(o, path, wishes)
      return ''
    } catch (e) { failed += `\n  ${o}: ${reason(e)}` }
  }
  return failed
}

// %% ../nbs/01_files.ipynb 8810df9d
/** Download `url` to `path` unless it is there; goes on with what was begun. Gives `path` back. */
export async function urlretrieve(url: string, path: string, options: Download = {}): Promise<string> {
  const { sha256 = [], mirrors = [], timeout = 30000 } = options
  const report = options.onProgress ?? liveBar(path)
  const sums = [sha256].flat().map(o => o.toLowerCase())
  if (fs.existsSync(path) && !await wrongSum(path, sums)) return path
  mkdir(dirname(path))
  inherit(path)
  const failed = await fromAny([url, ...mirrors], path, { sums, timeout, report })
  if (failed) throw new Error(`urlretrieve: ${path} could not be had.${failed}`)
  return path
}

// %% ../nbs/01_files.ipynb 737485d4
/** The project's folder: the first one above with a `settings.ini`. */
function root(dir = __dirname): string {
  if (fs.existsSync(join(dir, 'settings.ini'))) return dir
  if (dir === dirname(dir)) throw new Error(`files: no settings.ini in ${__dirname} or above`)
  return root(dirname(dir))
}

/** The words behind `key =` in `settings.ini`. */
function setting(key: string): string[] {
  const text = fs.readFileSync(join(root(), 'settings.ini'), 'utf8')
  const line = text.split('\n').find(o => o.split('=')[0].trim() === key) ?? ''
  return line.slice(line.indexOf('=') + 1).trim().split(/\s+/).filter(Boolean)
}

// %% ../nbs/01_files.ipynb 46fea960
function readable(bytes: Uint8Array): boolean {
  try { gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }) } catch { return false }
  return true
}

// %% ../nbs/01_files.ipynb 06f130e9
/** The byte at which zlib notices damage: every beginning that contains it fails. */
function damagedAt(bytes: Uint8Array): number {
  let [good, bad] = [0, bytes.length]
  while (bad - good > 1) {
    const mid = good + bad >> 1
    if (readable(bytes.subarray(0, mid))) good = mid
    else bad = mid
  }
  return bad - 1
}

// %% ../nbs/01_files.ipynb 2b2e12d0
function gunzipError(e: any, bytes: Uint8Array, limit: number): Error {
  const what = e.code === 'ERR_BUFFER_TOO_LARGE' ? `more than the limit of ${limit} bytes come out`
    : e.code === 'Z_BUF_ERROR' ? `the data end too early, at byte ${bytes.length}`
      : `${e.message} at byte ${damagedAt(bytes)}`
  return new Error(`gunzip: ${what}`)
}

// %% ../nbs/01_files.ipynb 2986a83e
/** Undo gzip, all parts one after the other; refuses damage and more than `limit` bytes. */
export function gunzip(bytes: Uint8Array, { limit = 2 ** 30 } = {}): Buffer {
  const chunkSize = Math.min(2 ** 20, Math.max(64, 1100 * bytes.length))
  const options = { info: true, chunkSize, maxOutputLength: limit }
  let o: { buffer: Buffer, engine: { bytesWritten: number } }
  try { o = gunzipSync(bytes, options) as any } catch (e) { throw gunzipError(e, bytes, limit) }
  const end = o.engine.bytesWritten, odd = bytes.subarray(end).findIndex(b => b !== 0)
  if (odd >= 0) throw new Error(`gunzip: something that is not gzip at byte ${end + odd}`)
  return o.buffer
}

// %% ../nbs/01_files.ipynb c10964cc
type Machine = {
  bytes: Buffer, pos: number, start: number // of the instruction that runs now
  stack: unknown[], marks: number[], memo: Map<number, unknown>, empty: Set<unknown>
  spent: number, limit: number, globals: Record<string, any>
  persistentLoad?: (id: unknown) => unknown
}

function refuse(m: Machine, what: string): never {
  throw new Error(`unpickle: ${what.replace(/[^ -~“”]/g, '?').slice(0, 200)} at byte ${m.start}`)
}

function spend(m: Machine, n: number): void {
  if ((m.spent += n) > m.limit) refuse(m, `more memory than the limit of ${m.limit} bytes`)
}

// %% ../nbs/01_files.ipynb 52352e21
function take(m: Machine, n: number): Buffer {
  const left = m.bytes.length - m.pos
  if (n > left || n < 0) refuse(m, `${n} bytes are wanted and ${left} left`)
  m.pos += n
  return m.bytes.subarray(m.pos - n, m.pos)
}

// %% ../nbs/01_files.ipynb 85c556d1
function line(m: Machine): string {
  const end = m.bytes.indexOf(10, m.pos)
  if (end < 0) refuse(m, 'a line without an end')
  return take(m, end - m.pos + 1).toString('latin1').slice(0, -1)
}

// %% ../nbs/01_files.ipynb 349206be
const u8 = (m: Machine): number => m.pos < m.bytes.length ? m.bytes[m.pos++] : take(m, 1)[0]
const u16 = (m: Machine) => take(m, 2).readUInt16LE()
const u32 = (m: Machine) => take(m, 4).readUInt32LE()
const i32 = (m: Machine) => take(m, 4).readInt32LE()
const u64 = (m: Machine) => Number(take(m, 8).readBigUInt64LE())

// %% ../nbs/01_files.ipynb 5fd5fe3c
function push(m: Machine, o: unknown, cost = 16): void {
  spend(m, cost)
  m.stack.push(o)
}

function pop(m: Machine): any {
  if (m.stack.length <= (m.marks.at(-1) ?? 0)) refuse(m, 'nothing is left on the stack')
  return m.stack.pop()
}

function popMark(m: Machine): unknown[] {
  return m.marks.length ? m.stack.splice(m.marks.pop()!) : refuse(m, 'no mark is on the stack')
}

// %% ../nbs/01_files.ipynb 10d93154
const plainInt = (o: bigint) => Number.isSafeInteger(Number(o)) ? Number(o) : o

function decimal(m: Machine, s: string): number | bigint {
  if (!/^\s*[+-]?\d{1,100000}\s*$/.test(s)) refuse(m, `“${s.slice(0, 20)}” is no whole number`)
  return plainInt(BigInt(s.trim().replace('+', '')))
}

function long(m: Machine, n: number): number | bigint {
  if (n > 2 ** 20) refuse(m, `an integer of ${n} bytes`)
  const hex = Buffer.from(take(m, n)).reverse().toString('hex')
  return plainInt(BigInt.asIntN(8 * n, BigInt(`0x${hex || '0'}`)))
}

// %% ../nbs/01_files.ipynb 9e639885
const words: Record<string, number> = { nan: NaN, inf: Infinity, '-inf': -Infinity }

function float(m: Machine, s: string): number {
  if (s in words) return words[s]
  const fine = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(s)
  if (!fine) refuse(m, `“${s.slice(0, 20)}” is no number`)
  return Number(s)
}

// %% ../nbs/01_files.ipynb a681af43
type Ops = Record<string, (m: Machine) => void>

const plainOps: Ops = {
  N: m => push(m, null),
  '\x88': m => push(m, true),
  '\x89': m => push(m, false)
}

// %% ../nbs/01_files.ipynb c6ed69f7
const numberOps: Ops = {
  I: m => { const s = line(m); push(m, s === '01' ? true : s === '00' ? false : decimal(m, s)) },
  J: m => push(m, i32(m)),
  K: m => push(m, u8(m)),
  M: m => push(m, u16(m)),
  L: m => push(m, decimal(m, line(m).replace(/L$/, ''))),
  '\x8a': m => push(m, long(m, u8(m))),
  '\x8b': m => push(m, long(m, i32(m))),
  F: m => push(m, float(m, line(m))),
  G: m => push(m, take(m, 8).readDoubleBE())
}

// %% ../nbs/01_files.ipynb fd6a31d6
const latin1 = (o: Buffer) => o.toString('latin1')

class Raw {
  private made?: string | Uint8Array
  constructor(public bytes: Buffer, private text: boolean) {}
  get value() { return this.made ??= this.text ? latin1(this.bytes) : new Uint8Array(this.bytes) }
}

const ended = (o: unknown) => o instanceof Raw ? o.value : o
const raw = (m: Machine, n: number, text = false) => push(m, new Raw(take(m, n), text), n + 64)

// %% ../nbs/01_files.ipynb c73b9035
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const surrogate = /(\xed[\xa0-\xbf][\x80-\xbf])/

function halfOf(s: string): string {
  return String.fromCharCode(0xd000 | (s.charCodeAt(1) & 63) << 6 | s.charCodeAt(2) & 63)
}

// %% ../nbs/01_files.ipynb 70cfc6c1
function decode(m: Machine, bytes: Buffer): string {
  try { return utf8.decode(bytes) } catch {
    const pieces = latin1(bytes).split(surrogate)
    if (pieces.length === 1) refuse(m, 'text that is not UTF-8')
    const piece = (o: string) => surrogate.test(o) ? halfOf(o) : decode(m, Buffer.from(o, 'latin1'))
    return pieces.map(piece).join('')
  }
}

const text = (m: Machine, n: number) => push(m, decode(m, take(m, n)), 2 * n + 32)

// %% ../nbs/01_files.ipynb bae702e8
const escapes: Record<string, string> =
  { n: '\n', r: '\r', t: '\t', a: '\x07', b: '\b', f: '\f', v: '\v' }

function unescape(_: string, o: string): string {
  if (/^x../.test(o)) return String.fromCharCode(parseInt(o.slice(1), 16))
  return /^\d/.test(o) ? String.fromCharCode(parseInt(o, 8) & 255) : escapes[o] ?? o
}

function quoted(m: Machine): Raw {
  const s = line(m)
  if (!/^(["']).*\1$/s.test(s) || s.length < 2) refuse(m, 'a string without its quotes')
  const inner = s.slice(1, -1).replace(/\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|.)/gs, unescape)
  return new Raw(Buffer.from(inner, 'latin1'), true)
}

// %% ../nbs/01_files.ipynb 5a75a087
function escaped(m: Machine): string {
  return line(m).replace(/\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})/g, (_, four, eight) => {
    const code = parseInt(four ?? eight, 16)
    return code > 0x10ffff ? refuse(m, 'a character beyond U+10FFFF') : String.fromCodePoint(code)
  })
}

// %% ../nbs/01_files.ipynb 3b385229
const byteOps: Ops = {
  S: m => { const o = quoted(m); push(m, o, o.bytes.length + 64) },
  T: m => raw(m, i32(m), true),
  U: m => raw(m, u8(m), true),
  B: m => raw(m, u32(m)),
  C: m => raw(m, u8(m)),
  '\x8e': m => raw(m, u64(m)),
  '\x96': m => raw(m, u64(m))
}

// %% ../nbs/01_files.ipynb 4cdc41c5
const textOps: Ops = {
  V: m => { const o = escaped(m); push(m, o, 2 * o.length + 32) },
  X: m => text(m, u32(m)),
  '\x8c': m => text(m, u8(m)),
  '\x8d': m => text(m, u64(m))
}

// %% ../nbs/01_files.ipynb 09cf4ff4
function pairs(m: Machine, to: Map<unknown, unknown>, items: unknown[]): Map<unknown, unknown> {
  if (items.length % 2) refuse(m, 'a key without its value')
  spend(m, 32 * items.length)
  for (let i = 0; i < items.length; i += 2) to.set(items[i], items[i + 1])
  return to
}

function top<T extends object>(m: Machine, type: new (...args: any[]) => T): T {
  const o = m.stack.length > (m.marks.at(-1) ?? 0) ? m.stack.at(-1) : undefined
  return o instanceof type ? o : refuse(m, `something that is no ${type.name} is to be filled`)
}

// %% ../nbs/01_files.ipynb 31196f16
function tuple(m: Machine, n: number): void {
  push(m, Array.from({ length: n }, () => pop(m)).reverse(), 64)
}

function append(m: Machine, items: unknown[]): void {
  const to = top<unknown[]>(m, Array)
  for (const o of items) to.push(o)
}

// %% ../nbs/01_files.ipynb a1c02b51
function add(m: Machine, items: unknown[]): void {
  const to = top<Set<unknown>>(m, Set)
  spend(m, 32 * items.length)
  for (const o of items) to.add(o)
}

function store(m: Machine, items: unknown[]): void {
  pairs(m, top<Map<unknown, unknown>>(m, Map), items)
}

// %% ../nbs/01_files.ipynb 07f0d5fb
const emptyOps: Ops = {
  ']': m => push(m, [], 64),
  ')': m => push(m, [], 64),
  '}': m => push(m, new Map(), 256),
  '\x8f': m => push(m, new Set(), 256)
}

// %% ../nbs/01_files.ipynb 214402e4
const boxOps: Ops = {
  l: m => push(m, popMark(m), 64),
  t: m => push(m, popMark(m), 64),
  d: m => push(m, pairs(m, new Map(), popMark(m)), 256),
  '\x91': m => push(m, new Set(popMark(m)), 256),
  '\x85': m => tuple(m, 1),
  '\x86': m => tuple(m, 2),
  '\x87': m => tuple(m, 3)
}

// %% ../nbs/01_files.ipynb 715191b4
const fillOps: Ops = {
  a: m => append(m, [pop(m)]),
  e: m => append(m, popMark(m)),
  s: m => store(m, [pop(m), pop(m)].reverse()),
  u: m => store(m, popMark(m)),
  '\x90': m => add(m, popMark(m))
}

// %% ../nbs/01_files.ipynb 910451dc
function put(m: Machine, key: number | bigint): void {
  spend(m, 48)
  const o = pop(m)
  m.memo.set(Number(key), o)
  m.stack.push(o)
}

function get(m: Machine, key: number | bigint): void {
  if (!m.memo.has(Number(key))) refuse(m, `number ${key} was never stored`)
  push(m, m.memo.get(Number(key)))
}

// %% ../nbs/01_files.ipynb 81d6a569
function frame(m: Machine, n: number): void {
  if (n > m.bytes.length - m.pos) refuse(m, `a frame of ${n} bytes is wanted`)
}

// %% ../nbs/01_files.ipynb 30e93177
const memoOps: Ops = {
  p: m => put(m, decimal(m, line(m))),
  q: m => put(m, u8(m)),
  r: m => put(m, u32(m)),
  '\x94': m => put(m, m.memo.size),
  g: m => get(m, decimal(m, line(m))),
  h: m => get(m, u8(m)),
  j: m => get(m, u32(m))
}

// %% ../nbs/01_files.ipynb 16869702
const markOps: Ops = {
  '(': m => { spend(m, 16); m.marks.push(m.stack.length) },
  '0': m => { if (m.marks.at(-1) === m.stack.length) m.marks.pop(); else pop(m) },
  '1': m => void popMark(m),
  '2': m => { const o = pop(m); m.stack.push(o); push(m, o) },
  '\x80': m => { const v = u8(m); if (v > 5) refuse(m, `protocol ${v} is not known`) },
  '\x95': m => frame(m, u64(m))
}

// %% ../nbs/01_files.ipynb 1fc61f77
const dtypes = {
  b1: ['bool', Uint8Array],
  i1: ['int8', Int8Array], i2: ['int16', Int16Array], i4: ['int32', Int32Array],
  u1: ['uint8', Uint8Array], u2: ['uint16', Uint16Array], u4: ['uint32', Uint32Array],
  i8: ['int64', BigInt64Array], u8: ['uint64', BigUint64Array],
  f2: ['float16', Uint16Array], f4: ['float32', Float32Array], f8: ['float64', Float64Array],
  c8: ['complex64', Float32Array], c16: ['complex128', Float64Array]
} as const

// %% ../nbs/01_files.ipynb a483787c
class DType {
  order = '<'
  constructor(public code: keyof typeof dtypes) {}
  get name() { return dtypes[this.code][0] }
  get size() { return Number(this.code.slice(1)) }
}

// %% ../nbs/01_files.ipynb 2631fcdb
/** The numbers of an array, in the typed array that fits their type. */
export type Numbers = Int8Array | Int16Array | Int32Array | BigInt64Array | Float32Array | Float64Array
  | Uint8Array | Uint16Array | Uint32Array | BigUint64Array

/** An array: `data` holds the numbers row by row (C order), a complex number in two places. */
export type NdArray = { shape: number[], dtype: string, data: Numbers }

// %% ../nbs/01_files.ipynb 4219d1de
/** The number that the 16 bits `h` mean: a sign, 5 bits of exponent, 10 of fraction. */
function half(h: number): number {
  const sign = h >> 15 ? -1 : 1, e = h >> 10 & 31, f = h & 1023
  if (e === 31) return f ? NaN : sign * Infinity
  return sign * (e ? 2 ** (e - 15) * (1 + f / 1024) : 2 ** -24 * f)
}

// %% ../nbs/01_files.ipynb 2d987f95
function numbers(m: Machine, { code, order }: DType, bytes: Buffer): Numbers {
  spend(m, (code === 'f2' ? 3 : 1) * bytes.length)
  const Type = dtypes[code][1], own = new Uint8Array(bytes), buf = Buffer.from(own.buffer)
  const size = order === '>' ? Type.BYTES_PER_ELEMENT : 1
  if (size === 2) buf.swap16()
  if (size === 4) buf.swap32()
  if (size === 8) buf.swap64()
  const data = new Type(own.buffer)
  return code === 'f2' ? Float32Array.from(data as Uint16Array, half) : data
}

// %% ../nbs/01_files.ipynb 4dfe94b7
/** Where item `i` of our order lies, if a step along axis k is steps[k] long. */
function placeOf(i: number, shape: number[], steps: number[]): number {
  let at = 0
  for (let k = shape.length - 1; k >= 0; k--) {
    at += (i % shape[k]) * steps[k]
    i = Math.floor(i / shape[k])
  }
  return at
}

// %% ../nbs/01_files.ipynb e523c8d1
function rowsFirst(from: Numbers, shape: number[]): Numbers {
  const items = shape.reduce((a, b) => a * b, 1), per = from.length / (items || 1)
  const to = from.slice()
  const steps = shape.map((_, k) => shape.slice(0, k).reduce((a, b) => a * b, per))
  for (let i = 0; i < items; i++) {
    const at = placeOf(i, shape, steps)
    for (let j = 0; j < per; j++) to[i * per + j] = from[at + j]
  }
  return to
}

// %% ../nbs/01_files.ipynb b4f87ae5
function faced(o: NdArray): NdArray {
  const face = () => {
    const some = Array.from(o.data.subarray(0, 6) as ArrayLike<number | bigint>).join(', ')
    return `${o.dtype} [${o.shape.join(', ')}]: ${some}${o.data.length > 6 ? ', …' : ''}`
  }
  return Object.defineProperty(o, inspect.custom, { value: face })
}

// %% ../nbs/01_files.ipynb 0cf9e79d
function arrayOf(m: Machine, [shape, type, fortran, data]: unknown[]): NdArray {
  const axes = Array.isArray(shape) && shape.every(o => Number.isInteger(o) && o >= 0)
  if (!axes || shape.length > 64) refuse(m, 'an array without a shape')
  if (!(type instanceof DType && data instanceof Raw)) refuse(m, 'an array without type or bytes')
  const n = shape.reduce((a, b) => a * b, 1) * type.size, had = data.bytes.length
  if (n !== had) refuse(m, `an array [${shape}] of ${type.name} has ${had} bytes in place of ${n},`)
  const flat = numbers(m, type, data.bytes)
  return { shape, dtype: type.name, data: fortran === true ? rowsFirst(flat, shape) : flat }
}

// %% ../nbs/01_files.ipynb 5b9d9b7e
const str = (o: unknown) => String(ended(o))

function dtype(m: Machine, [code]: unknown[]): DType {
  const known = Object.hasOwn(dtypes, str(code))
  if (!known) refuse(m, `an array of type ${str(code)}, which is not read,`)
  return new DType(str(code) as keyof typeof dtypes)
}

// %% ../nbs/01_files.ipynb 263a7806
function setOrder(m: Machine, o: DType, state: unknown): void {
  const order = Array.isArray(state) ? str(state[1]) : ''
  if (!['<', '>', '|', '='].includes(order)) refuse(m, `an array of unknown byte order “${order}”`)
  o.order = order
}

// %% ../nbs/01_files.ipynb ac745d32
/** One number out of an array: a number where it is exact, a bigint, a boolean or `{ re, im }`. */
function scalar(m: Machine, [type, data]: unknown[]): unknown {
  const o = arrayOf(m, [[], type, false, data]), [a, b] = o.data
  if (o.dtype === 'bool') return a !== 0
  return b !== undefined ? { re: a, im: b } : typeof a === 'bigint' ? plainInt(a) : a
}

// %% ../nbs/01_files.ipynb feadac4e
type Make = (m: Machine, args: unknown[]) => unknown

/** An array yet without state, which `build` will give it. */
function blank(m: Machine): NdArray {
  const o = faced({ shape: [0], dtype: 'float64', data: new Float64Array(0) })
  m.empty.add(o)
  return o
}

// %% ../nbs/01_files.ipynb 1d22a1ac
function encoded(m: Machine, o: unknown): Raw {
  if (o instanceof Raw) return o
  if (/[^\0-\xff]/.test(String(o))) refuse(m, 'bytes beyond 255')
  spend(m, str(o).length + 64)
  return new Raw(Buffer.from(str(o), 'latin1'), false)
}

// %% ../nbs/01_files.ipynb fefda766
const listed = (o: unknown): unknown[] => Array.isArray(o) ? o : []

function setOf(m: Machine, [o]: unknown[]): Set<unknown> {
  spend(m, 32 * listed(o).length + 256)
  return new Set(listed(o))
}

// %% ../nbs/01_files.ipynb 37bdfe8b
const numpy: Record<string, Make> = {
  'multiarray._reconstruct': blank,
  'multiarray.scalar': scalar,
  'numeric._frombuffer': (m, [data, type, shape, order]) =>
    faced(arrayOf(m, [shape, type, str(order) === 'F', data]))
}

const builtins: Record<string, Make> = {
  set: setOf, frozenset: setOf,
  bytes: (m, [o = '']) => encoded(m, o),
  bytearray: (m, [o = '']) => encoded(m, o),
  complex: (_, [re = 0, im = 0]) => ({ re, im })
}

// %% ../nbs/01_files.ipynb 1e834ab0
const under = (prefix: string, o: Record<string, Make>) =>
  Object.fromEntries(Object.entries(o).map(([k, f]) => [`${prefix}.${k}`, f]))

const known: Record<string, Make> = {
  'numpy.ndarray': blank, 'numpy.dtype': dtype, '_codecs.encode': (m, [o]) => encoded(m, o),
  ...under('numpy.core', numpy), ...under('numpy._core', numpy),
  ...under('builtins', builtins), ...under('__builtin__', builtins)
}

// %% ../nbs/01_files.ipynb 980825dd
class Global { constructor(public name: string, public make: Make) {} }

function named(m: Machine, module: unknown, name: unknown): void {
  const o = `${str(module)}.${str(name)}`
  if (!Object.hasOwn(m.globals, o)) refuse(m, `${o} is asked for, which is not allowed,`)
  push(m, new Global(o, m.globals[o]), 64)
}

function call(m: Machine, f: unknown, args: unknown): void {
  const fine = f instanceof Global && Array.isArray(args)
  if (!fine) refuse(m, 'something that is no function is called')
  push(m, f.make(m, args), 64)
}

// %% ../nbs/01_files.ipynb f18ce7df
function build(m: Machine): void {
  const state = pop(m), o = pop(m)
  if (o instanceof DType) setOrder(m, o, state)
  else if (m.empty.delete(o)) Object.assign(o, arrayOf(m, listed(state).slice(-4)))
  else if (typeof o?.setState === 'function') o.setState(state)
  else refuse(m, 'a state is given to something that takes none')
  m.stack.push(o)
}

function persistent(m: Machine, id: unknown): void {
  if (!m.persistentLoad) refuse(m, `the pickle points outside, at ${inspect(id).slice(0, 100)},`)
  push(m, m.persistentLoad(id))
}

// %% ../nbs/01_files.ipynb a5af3b60
const objectOps: Ops = {
  c: m => named(m, line(m), line(m)),
  '\x93': m => { const name = pop(m), module = pop(m); named(m, module, name) },
  i: m => { named(m, line(m), line(m)); const f = pop(m); call(m, f, popMark(m)) },
  o: m => { const [f, ...args] = popMark(m); call(m, f, args) },
  R: m => { const args = pop(m), f = pop(m); call(m, f, args) },
  '\x81': m => { const args = pop(m), f = pop(m); call(m, f, args) },
  '\x92': m => { if (pop(m)?.size) refuse(m, 'a call with named arguments'); objectOps.R(m) },
  b: build
}

// %% ../nbs/01_files.ipynb 7cf0c7d0
const outsideOps: Ops = {
  P: m => persistent(m, line(m)),
  Q: m => persistent(m, pop(m)),
  '\x97': m => refuse(m, 'a buffer outside the pickle is wanted'),
  '\x98': () => {}
}

// %% ../nbs/01_files.ipynb df5464cc
const ops: Ops = {
  ...plainOps, ...numberOps, ...byteOps, ...textOps, ...emptyOps, ...boxOps, ...fillOps,
  ...memoOps, ...markOps, ...objectOps, ...outsideOps,
}
const table = Array.from({ length: 256 }, (_, i) => ops[String.fromCharCode(i)]), stop = 46

// %% ../nbs/01_files.ipynb 7936bd97
function refill<T>(o: Iterable<T> & { clear(): void }, add: (item: T) => void): void {
  const items = [...o]
  o.clear()
  items.forEach(add)
}

// %% ../nbs/01_files.ipynb 6cb4ceaf
const isBox = (o: unknown) => Array.isArray(o) || o instanceof Map || o instanceof Set

/** Put `last` of each item in the place of the item. */
function mapBox(o: unknown, last: (item: unknown) => any): void {
  if (Array.isArray(o)) o.forEach((v, i) => { o[i] = last(v) })
  if (o instanceof Map) refill(o, ([k, v]) => o.set(last(k), last(v)))
  if (o instanceof Set) refill(o, v => o.add(last(v)))
}

// %% ../nbs/01_files.ipynb 5a805e23
function settle(root: unknown): unknown {
  const outer = [root], seen = new Set<unknown>([outer]), todo: unknown[] = [outer]
  const last = (o: unknown) => {
    if (o instanceof Raw) return o.value
    if (isBox(o) && !seen.has(o)) todo.push(o), seen.add(o)
    return o
  }
  while (todo.length) mapBox(todo.pop(), last)
  return outer[0]
}

// %% ../nbs/01_files.ipynb 8d161405
/** What `unpickle` may do: bytes of memory, more functions by their names, reading outside ids. */
export type Unpickling = {
  limit?: number, globals?: Record<string, (...args: any[]) => unknown>
  persistentLoad?: (id: unknown) => unknown
}

// %% ../nbs/01_files.ipynb d4de8cbd
function machine(bytes: Uint8Array, { limit, globals = {}, persistentLoad }: Unpickling): Machine {
  const allowed = { ...known }
  for (const [k, f] of Object.entries(globals)) allowed[k] = (_, args) => f(...args.map(ended))
  return {
    bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), pos: 0, start: 0,
    stack: [], marks: [], memo: new Map(), empty: new Set(),
    spent: 0, limit: limit ?? Math.max(2 ** 30, 4 * bytes.length), globals: allowed, persistentLoad
  }
}

// %% ../nbs/01_files.ipynb 8be510ca
/** Read a Python pickle, protocols 0 to 5: dict → Map, tuple → list, numpy array → `NdArray`. */
export function unpickle(bytes: Uint8Array, options: Unpickling = {}): unknown {
  const m = machine(bytes, options)
  for (;;) {
    m.start = m.pos
    const code = u8(m), run = table[code]
    if (code === stop) return settle(pop(m))
    if (!run) refuse(m, `the unknown instruction ${code}`)
    run(m)
  }
}

// %% ../nbs/01_files.ipynb 330ce4ff
/** Images `x` [n, 784] with numbers from 0 to 1, and what they show, `y` [n], 0 to 9. */
export type Digits = { x: NdArray, y: NdArray }

// %% ../nbs/01_files.ipynb 34967eab
function digits([x, y]: NdArray[], n: number): Digits {
  if (String(x?.shape) !== `${n},784` || String(y?.shape) !== `${n}`) {
    const got = `got [${x?.shape}] and [${y?.shape}]`
    throw new Error(`loadMnist: expected shapes [${n},784] and [${n}], ${got}`)
  }
  const o = { x, y: faced({ shape: [n], dtype: 'int32', data: Int32Array.from(y.data, Number) }) }
  const face = () => `${n} digits, x float32 [${n}, 784], y int32 [${n}]`
  return Object.defineProperty(o, inspect.custom, { value: face })
}

// %% ../nbs/01_files.ipynb ca2df7ef
/** Load MNIST, 50,000 + 10,000 + 10,000 digits, from `path`; downloads the file if need be. */
export async function loadMnist(path = join(root(), 'nbs/data/mnist.pkl.gz')) {
  const [url, ...mirrors] = setting('mnist_urls')
  const sha256 = setting('mnist_sha256')
  if (!fs.existsSync(path)) await urlretrieve(url, path, { mirrors, sha256 })
  const [train, valid, test] = unpickle(gunzip(fs.readFileSync(path))) as NdArray[][]
  return { train: digits(train, 50000), valid: digits(valid, 10000), test: digits(test, 10000) }
}
