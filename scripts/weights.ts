/**
 * `npm run weights -- owner/name`: downloads a Stable Diffusion from Hugging Face, only the files that the course reads.
 *
 * A file is complete or not there: until its sum is right its bytes lie in a `.part` beside it, from which the next run
 * goes on. HF_TOKEN is sent where it is set, HF_ENDPOINT names another hub.
 */
import { createHash } from 'crypto'
import * as fs from 'fs'
import * as path from 'path'
import { isAlive } from './atomic'
import { command } from './command'

const usage = 'owner/name --revision main --variant fp16 --file model.safetensors --out DIR'
const names = ['--revision', '--variant', '--file', '--out']
const tries = 4

/** What is asked for; `file` alone, or what `openCheckpoint` needs. */
export interface Order { repo: string, revision: string, out: string, variant?: string, file?: string }

/** How it is done: where lines go, ms before a broken download is tried again, ms of silence that are borne. */
export interface Manner { say?: (line: string) => void, pause?: number, silence?: number }

/** A file of the repository; `sum`: sha256, or git's id of a small one. */
export interface Wanted { name: string, size: number, sum: string }

/** The order behind the words of a command line; one sentence says what is wrong with them. */
export function orderOf(words: string[], root = path.dirname(__dirname)): Order {
  const found: Record<string, string> = {}, repos: string[] = []
  for (let i = 0; i < words.length; i++) {
    const [, name, own] = /^(--\w+)(?:=(.*))?$/s.exec(words[i]) ?? []
    if (!name) repos.push(words[i])
    else if (!names.includes(name)) throw new Error(`weights: what is "${words[i]}"? Known is ${usage}`)
    else found[name] = own ?? words[++i] ?? ''
    if (name && !found[name]) throw new Error(`weights: ${name} wants a value, as in ${usage}`)
  }
  const [repo = ''] = repos, isRepo = /^[\w.-]+\/[\w.-]+$/.test(repo) && !/(^|\/)\.+($|\/)/.test(repo)
  if (!isRepo || repos.length > 1) throw new Error(`weights: wanted one owner/name, as in ${usage}, got "${repos.join(' ')}"`)
  const out = path.resolve(found['--out'] ?? path.join(root, '.cache/models', repo))
  return { repo, revision: found['--revision'] ?? 'main', out, variant: found['--variant'], file: found['--file'] }
}

const sizeOf = (file: string) => fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0
const gigabytes = (n: number) => n < 1e9 ? `${(n / 1e6).toFixed(1)} MB` : `${(n / 1e9).toFixed(2)} GB`

async function sumOf(file: string, { sum, size }: Wanted): Promise<string> {
  const isGit = sum.length === 40, hash = createHash(isGit ? 'sha1' : 'sha256')
  if (isGit) hash.update(`blob ${size}\0`)
  for await (const bytes of fs.createReadStream(file, { highWaterMark: 2 ** 20 })) hash.update(bytes)
  return hash.digest('hex')
}

/** What is wrong with the bytes at `file`, or ''. */
async function fault(file: string, wanted: Wanted): Promise<string> {
  const size = sizeOf(file)
  if (size !== wanted.size) return `it has ${size} bytes, expected ${wanted.size}`
  const sum = await sumOf(file, wanted)
  return sum === wanted.sum ? '' : `its sum is ${sum}, expected ${wanted.sum}`
}

const reason = (e: any): string => e?.cause ? reason(e.cause) : e?.code ? `${e.code} ${e.message}` : e?.message ?? String(e)

/** The status in an error of the hub's package, or in the words that are left of it; or 0. */
const statusOf = (e: any): number =>
  Number(e?.statusCode ?? /Api error with status (\d+)/.exec(e?.message ?? e)?.[1] ?? 0)

/** A talk with one hub about one repository. */
class Talk {
  private hubUrl = (process.env.HF_ENDPOINT || 'https://huggingface.co').replace(/\/+$/, '')
  private accessToken = process.env.HF_TOKEN || undefined
  private mustRestart = false // of an error only the words come through the hub's stream
  constructor(private hub: typeof import('@huggingface/hub'), private order: Order, private manner: Required<Manner>) {}

  /** What all calls are given; `fetch` refuses an answer that begins elsewhere than it was asked to. */
  private options(signal?: AbortSignal) {
    const { repo, revision } = this.order, { hubUrl, accessToken } = this
    const ask = async (url: string | URL | Request, init?: RequestInit) => {
      const res = await fetch(url, { ...init, signal }), range = new Headers(init?.headers).get('range') ?? 'bytes=0-'
      this.mustRestart = res.ok && res.status !== 206 && !range.startsWith('bytes=0-')
      if (this.mustRestart) throw new Error('the server does not go on in the middle')
      return res
    }
    return { repo, revision, hubUrl, ...accessToken && { accessToken }, fetch: ask as typeof fetch }
  }

  /** What went wrong, in one sentence. */
  private refusal(e: any, what: string): Error {
    const { repo, revision } = this.order, status = statusOf(e)
    const ask = 'is the name right, are its terms accepted, is HF_TOKEN set?'
    if (status === 401 || status === 403) {
      return new Error(`weights: ${this.hubUrl} does not give ${repo} (${status}): ${ask}`)
    }
    if (status === 404) return new Error(`weights: ${this.hubUrl} has no ${what} of ${repo}, revision ${revision} (404)`)
    const answer = status ? `the hub answers ${status}` : reason(e).split('\n')[0]
    return new Error(`weights: ${what} of ${repo} could not be had from ${this.hubUrl}: ${answer}`)
  }

  /** All files of the repository. */
  async list(): Promise<Wanted[]> {
    const all: Wanted[] = []
    try {
      for await (const o of this.hub.listFiles({ ...this.options(AbortSignal.timeout(this.manner.silence)), recursive: true })) {
        if (o.type === 'file') all.push({ name: o.path, size: o.lfs?.size ?? o.size, sum: o.lfs?.oid ?? o.oid ?? '' })
      }
    } catch (e) { throw this.refusal(e, 'list of files') }
    return all
  }

  /** Write what is missing of a file to the end of its part. */
  private async append({ name, size }: Wanted, part: string, report: (n: number) => void): Promise<void> {
    const { silence } = this.manner, stop = new AbortController(), why = new Error(`not a byte for ${silence / 1000} s`)
    const timer = setTimeout(() => stop.abort(why), silence)
    const file = fs.openSync(part, 'a')
    try {
      let at = sizeOf(part)
      // the plain protocol: it can go on in the middle, and any mirror speaks it
      const blob = await this.hub.downloadFile({ ...this.options(stop.signal), path: name, xet: false })
      if (!blob) throw Object.assign(new Error(), { statusCode: 404 })
      const lie = `${blob.size} bytes are offered, ${size} were promised`
      if (blob.size !== size) throw Object.assign(new Error(lie), { final: true })
      for await (const bytes of at < size ? blob.slice(at).stream() : []) {
        fs.writeSync(file, bytes)
        report(bytes.length)
        timer.refresh()
        this.mustRestart = (at += bytes.length) > size
        if (this.mustRestart) throw new Error(`more than ${size} bytes came`)
      }
      if (at < size) throw new Error(`it broke off at byte ${at} of ${size}`)
      fs.fsyncSync(file)
    } finally {
      clearTimeout(timer)
      fs.closeSync(file)
    }
  }

  /** `append`, again and again as long as it gets on. */
  private async insist(wanted: Wanted, part: string, report: (n: number) => void): Promise<void> {
    let best = sizeOf(part)
    for (let failed = 1; ; failed++) {
      try { return await this.append(wanted, part, report) } catch (e: any) {
        if (this.mustRestart) fs.rmSync(part, { force: true })
        const size = sizeOf(part), status = statusOf(e), isRefused = status >= 400 && status < 500 && status !== 429
        if (size > best) failed = 0
        best = Math.max(best, size)
        if (failed === tries || e?.final || isRefused) throw this.refusal(e, wanted.name)
        await new Promise(done => setTimeout(done, this.manner.pause * 2 ** failed))
      }
    }
  }

  /** Get a file to its place; what was there stays until the new one is complete. */
  async get(wanted: Wanted, to: string, report: (n: number) => void): Promise<void> {
    const part = partOf(wanted, to), resumed = sizeOf(part) > 0
    fs.mkdirSync(path.dirname(to), { recursive: true })
    await this.insist(wanted, part, report)
    const wrong = await fault(part, wanted)
    if (!wrong) return fs.renameSync(part, to)
    fs.rmSync(part)
    if (!resumed) throw new Error(`weights: ${wanted.name} was refused: ${wrong}`)
    await this.get(wanted, to, report)
  }
}

/** Where the bytes of a file lie until it is complete; another version has another place. */
const partOf = ({ sum }: Wanted, to: string) => `${to}.${sum.slice(0, 16)}.part`

/** Which of the files are wanted. */
function choose(all: Wanted[], order: Order, needed: (all: string[], variant?: string) => string[]): Wanted[] {
  const { repo, variant, file } = order, refuse = (why: string): never => { throw new Error(`weights: ${repo} has ${why}`) }
  const singles = all.filter(o => /^[\w.-]+\.(safetensors|ckpt)$/.test(o.name)), found = singles.filter(o => o.name === file)
  const others = singles.map(o => o.name).join(', ') || 'none'
  if (file && !found.length) refuse(`no single file "${file}"; it has ${others}`)
  if (file) return found
  const picked = needed(all.map(o => o.name), variant), parts = ['unet', 'vae', 'text_encoder']
  const texts = ['model_index.json', ...parts.map(o => `${o}/config.json`)], lacking = texts.find(o => !picked.includes(o))
  if (lacking) refuse(`no ${lacking}; single files for --file: ${others}`)
  const weights = picked.filter(o => parts.includes(o.split('/')[0]) && !texts.includes(o))
  const empty = parts.find(part => !weights.some(o => o.startsWith(`${part}/`)))
  if (empty) refuse(`no weights in ${empty} that are read here`)
  if (variant && !weights.some(o => o.split(/[.-]/).includes(variant))) refuse(`no variant "${variant}"`)
  return all.filter(o => picked.includes(o.name))
}

/** The files, if each has a size and a sum to be checked by. */
function checked(files: Wanted[]): Wanted[] {
  const odd = files.find(o => !(o.size >= 0 && /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(o.sum)))
  if (odd) throw new Error(`weights: the hub lists ${odd.name} without a size and a sum`)
  return files
}

/** Run `f` while no other download goes into the folder. */
async function alone<T>(folder: string, f: () => Promise<T>): Promise<T> {
  const lock = path.join(folder, '.weights.part'), pid = Number(fs.existsSync(lock) && fs.readFileSync(lock, 'utf8'))
  const isTaken = pid && pid !== process.pid && isAlive(pid)
  if (isTaken) throw new Error(`weights: another download into ${folder} is running (process ${pid})`)
  fs.mkdirSync(folder, { recursive: true })
  fs.writeFileSync(lock, String(process.pid))
  try { return await f() } finally { fs.rmSync(lock, { force: true }) }
}

/** Refuses to begin what the disk cannot hold. */
function checkRoom(folder: string, missing: number): void {
  const { bavail, bsize } = fs.statfsSync(folder), free = bavail * bsize
  if (missing > free) throw new Error(`weights: ${gigabytes(missing)} are to come and ${folder} has room for ${gigabytes(free)}`)
}

/** Download what is missing; gives the folder, or the file that was asked for. */
export async function download(order: Order, manner: Manner = {}): Promise<string> {
  const hub = await import('@huggingface/hub'), { neededFiles } = await import('miniai/weights')
  const { Progress } = await import('miniai/plots'), { repo, revision, out } = order
  const { say = console.log, pause = 1000, silence = 60_000 } = manner
  const talk = new Talk(hub, order, { say, pause, silence }), all = await talk.list()
  const files = checked(choose(all, order, neededFiles))
  const place = ({ name }: Wanted) => path.join(out, name)
  return alone(out, async () => {
    const missing: Wanted[] = []
    for (const o of files) if (await fault(place(o), o)) missing.push(o)
    const begun = missing.reduce((n, o) => n + sizeOf(partOf(o, place(o))), 0), total = missing.reduce((n, o) => n + o.size, 0)
    checkRoom(out, total - begun)
    const there = `${files.length} files, ${files.length - missing.length} of them there`
    say(`${repo}, ${revision}: ${there}; ${gigabytes(total - begun)} to come, to ${out}`)
    const isHalf = order.variant || order.file || !all.some(o => /^unet\/.*\.fp16[.-]/.test(o.name))
    if (!isHalf) say('with --variant fp16 it would be about half of that')
    const bar = new Progress([], total, repo)
    bar.step(begun)
    for (const o of missing) await talk.get(o, place(o), n => bar.step(n))
    bar.finish()
    return order.file ? path.join(out, order.file) : out
  })
}

async function main(words: string[]): Promise<void> {
  console.log(`complete: ${await download(orderOf(words))}`)
}

if (require.main === module) {
  const words = process.argv.splice(2)
  void command([], () => main(words))
}
