// Do not edit: made by "npm run export" from ../nbs/17_tokenizer.ipynb (dba1832013b4)
// Text becomes numbers: first with pieces of words that we find by counting, then with the very pieces that Stable Diffusion's text model was trained on, so that its numbers are ours.

import { existsSync, readFileSync, statSync } from 'fs'
import { basename, join } from 'path'
import { inspect } from 'util'
import { tf } from './engine'
import { gunzip } from './files'

// %% ../nbs/17_tokenizer.ipynb 0f2298d0
const endOfWord = '</w>'
const spell = (word: string) => [...word].map((o, i, all) => i < all.length - 1 ? o : o + endOfWord)

// %% ../nbs/17_tokenizer.ipynb 6bb06a26
type Pair = [a: string, b: string]
type Counted = [symbols: string[], count: number]

function countWords(words: string[]): Counted[] {
  const counts = new Map<string, number>()
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
  return [...counts].map(([word, count]) => [spell(word), count])
}

// %% ../nbs/17_tokenizer.ipynb df159342
function bestPair(words: Counted[]): [pair: Pair, count: number] | undefined {
  const counts = new Map<string, number>()
  for (const [symbols, count] of words) {
    for (let i = 1; i < symbols.length; i++) {
      const pair = `${symbols[i - 1]} ${symbols[i]}`
      counts.set(pair, (counts.get(pair) ?? 0) + count)
    }
  }
  let best = ''
  for (const [pair, count] of counts) if (count > (counts.get(best) ?? 0)) best = pair
  return best ? [best.split(' ') as Pair, counts.get(best)!] : undefined
}

// %% ../nbs/17_tokenizer.ipynb 2ab4fde7
function join2(symbols: string[], [a, b]: Pair): string[] {
  const out: string[] = []
  for (let i = 0; i < symbols.length; i++) {
    const isPair = symbols[i] === a && symbols[i + 1] === b
    out.push(isPair ? a + b : symbols[i])
    if (isPair) i++
  }
  return out
}

// %% ../nbs/17_tokenizer.ipynb 08ed3693
const isVisible = (b: number) => (b > 32 && b < 127) || (b > 160 && b !== 173)
const bytes = Array.from({ length: 256 }, (_, b) => b)
const visible = bytes.filter(isVisible), hidden = bytes.filter(b => !isVisible(b))

// %% ../nbs/17_tokenizer.ipynb 44502ed1
/** The letter that stands for each byte, in the order in which CLIP numbers them. */
export const byteLetters = new Map([...visible.map((b): [number, string] => [b, String.fromCharCode(b)]),
  ...hidden.map((b, i): [number, string] => [b, String.fromCharCode(256 + i)])])

// %% ../nbs/17_tokenizer.ipynb 53300128
const toLetters = (word: string) => Array.from(Buffer.from(word), b => byteLetters.get(b)!).join('')
const byteOf = new Map([...byteLetters].map(([b, letter]) => [letter, b]))
const fromLetters = (letters: string) =>
  Buffer.from(Array.from(letters, o => byteOf.get(o)!)).toString()

// %% ../nbs/17_tokenizer.ipynb 4bf15e1f
const blank = '\\t-\\r\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'

// %% ../nbs/17_tokenizer.ipynb cfe2dcf5
const edges = new RegExp(`^[${blank}\\x1c-\\x1f]+|[${blank}\\x1c-\\x1f]+$`, 'g')
const strip = (text: string) => text.replace(edges, '')

// %% ../nbs/17_tokenizer.ipynb dcefde91
const newcomers = '\\u088f\\u0c5c\\u0cdc\\ua7ce\\ua7cf\\ua7d2\\ua7d4\\ua7f1\\u{10940}-\\u{10959}'
  + '\\u{10ec5}-\\u{10ec7}\\u{11db0}-\\u{11ddb}\\u{11de0}-\\u{11de9}\\u{16ea0}-\\u{16eb8}'
  + '\\u{16ebb}-\\u{16ed3}\\u{16ff2}-\\u{16ff6}\\u{187f8}-\\u{187ff}\\u{18d09}-\\u{18d1e}'
  + '\\u{18d80}-\\u{18df2}\\u{1e6c0}-\\u{1e6de}\\u{1e6e0}-\\u{1e6e2}\\u{1e6e4}\\u{1e6e5}'
  + '\\u{1e6e7}-\\u{1e6ed}\\u{1e6f0}-\\u{1e6f4}\\u{1e6fe}\\u{1e6ff}\\u{2b73a}-\\u{2b73f}'
  + '\\u{2cea2}-\\u{2cead}\\u{323b0}-\\u{33479}'

// %% ../nbs/17_tokenizer.ipynb b7cff62b
const letter = `[\\p{L}--[${newcomers}]]`, figure = `[\\p{N}--[${newcomers}]]`
const pattern = new RegExp(
  `<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|${letter}+|${figure}|[^${blank}${letter}${figure}]+`,
  'gv')

// %% ../nbs/17_tokenizer.ipynb d3b28db4
const uniform = (text: string) => text.normalize('NFC').replaceAll('Σ', 'σ').toLowerCase()

// %% ../nbs/17_tokenizer.ipynb 1ffb612c
const startMark = '<|startoftext|>', endMark = '<|endoftext|>'

function between(parts: string[][], mark: string): string[] {
  return parts.reduce((all, words) => all.concat(mark, words))
}

// %% ../nbs/17_tokenizer.ipynb 7462bb91
/** The words of a text as CLIP sees them, in lower case, and the marks in it. */
export function clipWords(text: string): string[] {
  const isText = typeof text === 'string'
  if (!isText) throw new TypeError(`clipWords: wanted a text, got ${inspect(text)}`)
  const shouted = ['<|', 'endoftext', '|>']
  const plain = (o: string) => (o.match(pattern) ?? []).flatMap(o => o === endMark ? shouted : o)
  const part = (o: string) => between(uniform(o).split(startMark).map(plain), startMark)
  return between(text.split(endMark).map(part), endMark)
}

// %% ../nbs/17_tokenizer.ipynb 6c8917f1
/** The first `n` merges that byte-pair encoding learns from a text, most frequent pair first. */
export function trainBpe(text: string, n: number): [a: string, b: string][] {
  let words = countWords(clipWords(text).map(toLetters))
  const merges: Pair[] = []
  for (let best; merges.length < n && (best = bestPair(words));) {
    const [pair] = best
    merges.push(pair)
    words = words.map(([symbols, count]) => [join2(symbols, pair), count])
  }
  return merges
}

// %% ../nbs/17_tokenizer.ipynb 8541e667
class Heap {
  private xs: number[] = []
  push(x: number): void {
    let i = this.xs.push(x) - 1
    for (let up; i > 0 && this.xs[up = (i - 1) >> 1] > x; i = up) this.xs[i] = this.xs[up]
    this.xs[i] = x
  }
  pop(): number | undefined {
    const { xs } = this, least = xs[0], x = xs.pop()!, n = xs.length
    if (!n) return least
    let i = 0
    for (let k; (k = 2 * i + 1) < n; i = k) {
      if (k + 1 < n && xs[k + 1] < xs[k]) k++
      if (xs[k] >= x) break
      xs[i] = xs[k]
    }
    xs[i] = x
    return least
  }
}

// %% ../nbs/17_tokenizer.ipynb 535cbf2f
type Rank = (a: number, b: number) => number | undefined

/** Merges neighbours until no pair has a rank; the pair of rank r becomes the symbol `made[r]`. */
function mergeAll(ids: number[], rank: Rank, made: number[]): number[] {
  const next = ids.map((_, i) => i + 1), prev = ids.map((_, i) => i - 1), heap = new Heap()
  const rankAt = (i: number) => rank(ids[i], ids[next[i]])
  const offer = (i: number) => {
    const r = rankAt(i)
    if (r !== undefined) heap.push(r * 2 ** 32 + i)
  }
  ids.forEach((_, i) => offer(i))
  for (let o; (o = heap.pop()) !== undefined;) {
    const r = Math.floor(o / 2 ** 32), i = o % 2 ** 32, gone = next[i]
    if (rankAt(i) !== r) continue
    ids[i] = made[r]
    ids[gone] = -1
    next[i] = next[gone]
    prev[next[i]] = i
    offer(prev[i])
    offer(i)
  }
  return ids.filter(id => id >= 0)
}

// %% ../nbs/17_tokenizer.ipynb dc3f047a
function vocabulary(merges: Pair[]): string[] {
  const letters = [...byteLetters.values()]
  const endings = letters.map(o => o + endOfWord), made = merges.map(o => o.join(''))
  return [...letters, ...endings, ...made, startMark, endMark]
}

// %% ../nbs/17_tokenizer.ipynb 77af76cd
function readMerges(text: string): Pair[] {
  const lines = text.split(/\r?\n/).filter(o => o && !o.includes('#version'))
  const bad = lines.findIndex(o => !/^\S+ \S+$/.test(o))
  if (bad >= 0) throw new Error('wanted two tokens in each merge, '
    + `got ${inspect(lines[bad].slice(0, 80))} as number ${bad + 1}`)
  return lines.map(o => o.split(' ') as Pair)
}

function read(path: string): Buffer {
  if (!existsSync(path)) throw new Error(`wanted the file ${basename(path)}, got nothing`)
  return readFileSync(path)
}

// %% ../nbs/17_tokenizer.ipynb 4ccaf79a
/** What can be set: tokens by number, how many a model reads, and the token that fills up. */
export type TokenizerOptions = { tokens?: string[], length?: number, pad?: string }

// %% ../nbs/17_tokenizer.ipynb 7d13a708
function fromFile(path: string): [Pair[], TokenizerOptions] {
  const n = 48894, lines = gunzip(read(path)).toString().split('\n').slice(0, n + 1)
  const merges = readMerges(lines.join('\n'))
  if (merges.length !== n) throw new Error(`wanted ${n} merges, got ${merges.length}`)
  return [merges, {}]
}

// %% ../nbs/17_tokenizer.ipynb 605e503e
function readJson(path: string): Record<string, any> {
  const bytes = read(path)
  const foreign = (got: string) => new Error(`${basename(path)}: wanted a JSON object, got ${got}`)
  let o: unknown
  try { o = JSON.parse(bytes.toString()) } catch { throw foreign(`${bytes.length} other bytes`) }
  if (!o || typeof o !== 'object' || Array.isArray(o)) throw foreign(inspect(o).slice(0, 40))
  return o
}

// %% ../nbs/17_tokenizer.ipynb a48959e3
/** The merges and the tokens' numbers of a folder; transformers 5 writes both into one file. */
function vocabOf(path: string): { merges: Pair[], vocab: Record<string, number> } {
  const [one, two] = ['tokenizer.json', 'vocab.json'].map(o => join(path, o))
  if (existsSync(two) || !existsSync(one)) {
    return { vocab: readJson(two), merges: readMerges(read(join(path, 'merges.txt')).toString()) }
  }
  const { vocab, merges } = readJson(one).model ?? {}
  if (!vocab || !merges) throw new Error('tokenizer.json: wanted a vocab and merges, got none')
  return { vocab, merges: merges.map((o: string | Pair) => typeof o === 'string' ? o.split(' ') : o) }
}

// %% ../nbs/17_tokenizer.ipynb 2831e636
function fromFolder(path: string): [Pair[], TokenizerOptions] {
  const { merges, vocab } = vocabOf(path)
  const tokens: string[] = [], n = Object.keys(vocab).length
  for (const [token, id] of Object.entries(vocab)) tokens[id] = token
  const isWhole = tokens.length === n && Object.keys(tokens).length === n
  if (!isWhole) throw new Error(`wanted the numbers 0 to ${n - 1} once each for ${n} tokens`)
  const wrong = `wanted ${n - 514} merges for ${n} tokens, got ${merges.length}`
  if (n !== 514 + merges.length) throw new Error(wrong)
  const [config, map] = ['tokenizer_config.json', 'special_tokens_map.json']
    .map(o => existsSync(join(path, o)) ? readJson(join(path, o)) : {})
  const { content = endMark } = [map.pad_token ?? config.pad_token ?? endMark]
    .map(o => typeof o === 'string' ? { content: o } : o)[0]
  const length = config.model_max_length < 1e6 ? config.model_max_length : 77
  return [merges, { tokens, length, pad: content }]
}

// %% ../nbs/17_tokenizer.ipynb 2ad9a16d
/** Text to CLIP's token numbers and back, by the merges of a byte-pair encoding. */
export class ClipTokenizer {
  readonly tokens: string[]
  readonly length: number
  private ids: Map<string, number>
  private ranks: Map<number, number>
  private made: number[]
  private known: Map<string, number[]>
  private padding: number
  constructor(merges: [a: string, b: string][],
    { tokens = vocabulary(merges), length = 77, pad = endMark }: TokenizerOptions = {}) {
    this.tokens = tokens
    this.length = length
    this.ids = new Map(tokens.map((o, i) => [o, i]))
    this.ranks = new Map(merges.map(([a, b], r) => [this.pairOf(this.id(a), this.id(b)), r]))
    this.made = merges.map(([a, b]) => this.id(a + b))
    this.known = new Map([startMark, endMark].map(o => [o, [this.id(o)]]))
    this.padding = this.id(pad)
    for (const o of byteLetters.values()) this.id(o), this.id(o + endOfWord)
  }

  /** The number of a token. */
  id(token: string): number {
    const id = this.ids.get(token), n = this.tokens.length
    if (id !== undefined) return id
    throw new Error(`ClipTokenizer: ${inspect(token)} is none of the ${n} tokens`)
  }
  private pairOf(a: number, b: number): number { return a * 2 ** 24 + b }
  private lookUp(word: string): number[] {
    const ids = spell(toLetters(word)).map(o => this.id(o))
    const o = mergeAll(ids, (a, b) => this.ranks.get(this.pairOf(a, b)), this.made)
    if (this.known.size < 2 ** 14 && word.length < 64) this.known.set(word, o)
    return o
  }

  /** The numbers of a text's tokens between the marks, neither cut nor filled up. */
  encode(text: string): number[] {
    const ids = [this.id(startMark)]
    for (const word of clipWords(text)) {
      for (const id of this.known.get(word) ?? this.lookUp(word)) ids.push(id)
    }
    ids.push(this.id(endMark))
    return ids
  }
  /** Makes a word that is no token yet a token of its own, with the next number. */
  add(word: string): number {
    const token = toLetters(word) + endOfWord, isNew = !this.ids.has(token), n = this.tokens.length
    const isWord = clipWords(word).length === 1 && clipWords(word)[0] === word
    if (!isWord) throw new Error(`ClipTokenizer.add: wanted one word, got ${inspect(word)}`)
    if (!isNew) throw new Error(`ClipTokenizer.add: "${word}" is a token already`)
    this.tokens.push(token)
    this.ids.set(token, n)
    this.known.set(word, [n])
    return n
  }
  /** As many as the model reads: filled up, or cut with a warning that says what is lost. */
  pad(ids: number[]): number[] {
    const { length } = this, lost = ids.slice(length - 1, -1)
    if (ids.length <= length) return [...ids, ...Array(length - ids.length).fill(this.padding)]
    const words = this.decode(lost)
    console.warn(`ClipTokenizer: only ${length} tokens are read, this is cut off: "${words}"`)
    return [...ids.slice(0, length - 1), this.id(endMark)]
  }
  /** The padded numbers of texts [n, length], as a model takes them. */
  batch(texts: string[]): tf.Tensor2D {
    const rows = texts.map(o => this.pad(this.encode(o)))
    return tf.tensor2d(rows.flat(), [texts.length, this.length], 'int32')
  }
  /** The text of tokens: in lower case, one blank after each word. */
  decode(ids: number | ArrayLike<number>, { skipSpecialTokens = false } = {}): string {
    const all = typeof ids === 'number' ? [ids] : Array.from(ids), n = this.tokens.length
    const odd = all.find(id => this.tokens[id] === undefined)
    if (odd !== undefined) throw new RangeError(`decode: wanted numbers of ${n} tokens, got ${odd}`)
    const tokens = all.map(id => this.tokens[id])
    const kept = tokens.filter(o => !skipSpecialTokens || (o !== startMark && o !== endMark))
    return strip(fromLetters(kept.join('')).replaceAll(endOfWord, ' '))
  }
  /** CLIP's tokenizer from its file (.txt.gz) or from a model's tokenizer folder. */
  static load(path = join(__dirname, '../nbs/data/bpe_simple_vocab_16e6.txt.gz')): ClipTokenizer {
    const isFolder = existsSync(path) && statSync(path).isDirectory()
    try {
      const [merges, options] = isFolder ? fromFolder(path) : fromFile(path)
      return new ClipTokenizer(merges, options)
    } catch (e) {
      throw new Error(`ClipTokenizer.load: ${path}: ${(e as Error).message}`, { cause: e })
    }
  }
  [inspect.custom]() {
    const { tokens, made, length } = this
    return `ClipTokenizer: ${tokens.length} tokens, ${made.length} merges, reads ${length}`
  }
}
