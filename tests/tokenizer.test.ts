import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { useBackend } from 'miniai/engine'
import { byteLetters, ClipTokenizer, clipWords, trainBpe } from 'miniai/tokenizer'
import { warnings } from './warnings'

before(async () => { await useBackend() })

const published = join(__dirname, '../nbs/data/bpe_simple_vocab_16e6.txt.gz')
const cases = JSON.parse(readFileSync(join(__dirname, 'fixtures/tokenizer.json'), 'utf8'))
const tok = ClipTokenizer.load()
const padding = 49407

/** A model's tokenizer folder with CLIP's vocabulary, and what is to be different in it. */
function folder(changes: Record<string, string | null> = {}): string {
  const path = mkdtempSync(join(tmpdir(), 'miniai-tokenizer-'))
  const lines = gunzipSync(readFileSync(published)).toString().split('\n').slice(1, 48895)
  const files = { 'vocab.json': JSON.stringify(Object.fromEntries(tok.tokens.map((o, i) => [o, i]))),
    'merges.txt': ['#version: 0.2', ...lines, ''].join('\n'), ...changes }
  for (const [name, text] of Object.entries(files)) if (text !== null) writeFileSync(join(path, name), text)
  return path
}

it('encode(text) gives the numbers of transformers\' CLIPTokenizer for difficult strings', () => {
  for (const [text, ids] of cases.encode) assert.deepEqual(tok.encode(text), ids, JSON.stringify(text))
})

it('decode(ids) gives the text of transformers\' CLIPTokenizer, with marks and without', () => {
  for (const [ids, text, plain] of cases.decode) {
    assert.equal(tok.decode(ids), text)
    assert.equal(tok.decode(ids, { skipSpecialTokens: true }), plain)
  }
  assert.equal(tok.decode(320), 'a')
  assert.equal(tok.decode(Int32Array.of(320, 8853)), 'a photograph')
})

it('encode(text) takes half a character, as broken JavaScript strings have it, for U+FFFD', () => {
  assert.deepEqual(tok.encode('a\ud83d b'), tok.encode('a\ufffd b'))
  assert.deepEqual(tok.encode('\udc31'), tok.encode('\ufffd'))
})

it('encode(text) is quick with a million letters that no blank divides', function () {
  this.timeout(30000)
  const page = Array.from({ length: 1e6 }, (_, i) => String.fromCharCode(97 + i * i % 23)).join('')
  assert.equal(tok.decode(tok.encode(page), { skipSpecialTokens: true }), page)
})

it('encode(text) is the same before and after its words are remembered', () => {
  const fresh = ClipTokenizer.load(), text = 'a lighthouse, a lighthouse and Llanfairpwll'
  assert.deepEqual(fresh.encode(text), tok.encode(text))
  assert.deepEqual(fresh.encode(text), fresh.encode(text))
})

it('encode(x) wants a text', () => {
  for (const x of [7, null, undefined, ['a']]) assert.throws(() => tok.encode(x as any), /clipWords: wanted a text, got/)
})

it('pad(ids) fills up to 77 with the end mark and says nothing', () => {
  const [ids, said] = warnings(() => tok.pad(tok.encode('a red seven')))
  assert.deepEqual(ids, [49406, 320, 736, 5757, 49407, ...Array(72).fill(padding)])
  assert.deepEqual([tok.pad(tok.encode('')).length, said], [77, []])
})

it('pad(ids) keeps 77 as they are, and of 78 the first 76 and the end mark, naming what is lost', () => {
  const full = tok.encode('horse '.repeat(75)), [same, silent] = warnings(() => tok.pad(full))
  assert.deepEqual([same, silent], [full, []])
  const [cut, said] = warnings(() => tok.pad(tok.encode(`${'horse '.repeat(75)} lighthouse, dusk`)))
  assert.deepEqual(cut, full)
  assert.deepEqual(said, ['ClipTokenizer: only 77 tokens are read, this is cut off: "lighthouse , dusk"'])
})

it('batch(texts) gives padded numbers [n, 77]', () => {
  const x = tok.batch(['a red seven', ''])
  assert.deepEqual([x.shape, x.dtype], [[2, 77], 'int32'])
  assert.deepEqual(x.arraySync()[0], tok.pad(tok.encode('a red seven')))
})

it('decode(ids) refuses numbers that are no token', () => {
  for (const id of [49408, -1, 1.5, NaN]) assert.throws(() => tok.decode([320, id]), /decode: wanted numbers of 49408 tokens, got/)
})

it('load(folder) reads vocab.json and merges.txt, also with the line ends of Windows', () => {
  const path = folder(), windows = folder({ 'merges.txt': readFileSync(join(path, 'merges.txt'), 'utf8').replaceAll('\n', '\r\n') })
  for (const o of [path, windows]) {
    const other = ClipTokenizer.load(o)
    assert.deepEqual(other.tokens, tok.tokens)
    for (const [text, ids] of cases.encode.slice(0, 30)) assert.deepEqual(other.encode(text), ids)
  }
})

it('load(folder) reads the one tokenizer.json that transformers 5 writes', () => {
  const two = folder(), pairs = readFileSync(join(two, 'merges.txt'), 'utf8').split('\n').slice(1, -1).map(o => o.split(' '))
  const vocab = JSON.parse(readFileSync(join(two, 'vocab.json'), 'utf8'))
  for (const merges of [pairs, pairs.map(o => o.join(' '))]) {
    const one = JSON.stringify({ version: '1.0', model: { type: 'BPE', vocab, merges } })
    const other = ClipTokenizer.load(folder({ 'vocab.json': null, 'merges.txt': null, 'tokenizer.json': one }))
    for (const [text, ids] of cases.encode.slice(0, 30)) assert.deepEqual(other.encode(text), ids)
  }
})

it('load(folder) takes the pad token of special_tokens_map.json before that of tokenizer_config.json', () => {
  const map = '{"pad_token": "!"}', config = '{"pad_token": {"content": "<|endoftext|>"}, "model_max_length": 32}'
  const both = ClipTokenizer.load(folder({ 'special_tokens_map.json': map, 'tokenizer_config.json': config }))
  assert.deepEqual(both.pad(both.encode('')), [49406, 49407, ...Array(30).fill(0)])
  const one = ClipTokenizer.load(folder({ 'tokenizer_config.json': config }))
  assert.equal(one.pad(one.encode('')).at(-1), 49407)
})

it('load(path) refuses missing and damaged files in one sentence that names them', () => {
  const path = mkdtempSync(join(tmpdir(), 'miniai-tokenizer-')), bytes = readFileSync(published)
  const file = (data: Uint8Array) => {
    writeFileSync(join(path, 'v.txt.gz'), data)
    return join(path, 'v.txt.gz')
  }
  const refused = (o: string, words: RegExp) => assert.throws(() => ClipTokenizer.load(o), (e: Error) =>
    e.message.startsWith(`ClipTokenizer.load: ${o}: `) && words.test(e.message) && !e.message.includes('\n'))
  refused(join(path, 'none.txt.gz'), /wanted the file none.txt.gz, got nothing/)
  refused(file(bytes.subarray(0, 50000)), /too early/)
  refused(file(Buffer.from('no gzip at all')), /gunzip/)
  refused(file(gzipSync('#version: 0.2\ni n\nt h\n')), /wanted 48894 merges, got 2/)
  refused(file(gzipSync(gunzipSync(bytes).toString().replace('\nt h\n', '\nth\n'))), /wanted two tokens in each merge, got 'th' as number 2/)
  refused(file(gzipSync(gunzipSync(bytes).toString().replace('\nt h\n', '\nt ∂\n'))), /'∂' is none of the 49408 tokens/)
  refused(folder({ 'vocab.json': null }), /wanted the file vocab.json, got nothing/)
  refused(folder({ 'merges.txt': null }), /wanted the file merges.txt, got nothing/)
  refused(folder({ 'merges.txt': '#version: 0.2\ni n\n' }), /wanted 48894 merges for 49408 tokens, got 1/)
  refused(folder({ 'vocab.json': '{"a": 0' }), /vocab.json: wanted a JSON object, got 7 other bytes/)
  refused(folder({ 'vocab.json': '{"a": 0, "b": 7}' }), /wanted the numbers 0 to 1 once each/)
  refused(folder({ 'vocab.json': null, 'tokenizer.json': '{}' }), /tokenizer.json: wanted a vocab and merges, got none/)
  refused(folder({ 'special_tokens_map.json': '{"pad_token": "<none>"}' }), /'<none>' is none of the 49408 tokens/)
})

it('trainBpe(text, n) learns the merges of Sennrich, Haddow and Birch\'s example', () => {
  const text = `${'low '.repeat(5)}${'lower '.repeat(2)}${'newest '.repeat(6)}${'widest '.repeat(3)}`
  assert.deepEqual(trainBpe(text, 3), [['e', 's'], ['es', 't</w>'], ['l', 'o']])
  assert.equal(trainBpe(text, 1000).at(-1)!.join('').endsWith('</w>'), true)
  assert.deepEqual(trainBpe('', 5), [])
})

it('new ClipTokenizer(merges) spells with bytes what it has not learned', () => {
  const small = new ClipTokenizer(trainBpe('a red seven on a red ground', 6), { length: 16 })
  assert.equal(small.tokens.length, 512 + 6 + 2)
  for (const text of ['a red seven', '東京 🐱', '']) {
    const ids = small.encode(text)
    assert.equal(small.decode(ids, { skipSpecialTokens: true }), text)
    assert.ok(ids.every(id => id < small.tokens.length))
  }
  assert.equal(small.pad(small.encode('red')).length, 16)
})

it('byteLetters has a visible letter for each byte, all different', () => {
  assert.deepEqual([...byteLetters.keys()].sort((a, b) => a - b), Array.from({ length: 256 }, (_, b) => b))
  assert.equal(new Set(byteLetters.values()).size, 256)
  assert.ok([...byteLetters.values()].every(o => o.length === 1 && !/[\s\p{C}]/u.test(o)))
})

it('clipWords(text) parts letters, single figures, signs and contractions', () => {
  assert.deepEqual(clipWords("Don't stop: 42 cats!!"), ['don', "'t", 'stop', ':', '4', '2', 'cats', '!!'])
})

it('add(word) makes a word one token with the next number, everywhere but inside other words', () => {
  const tok = new ClipTokenizer(trainBpe('a red seven', 20)), n = tok.tokens.length, [start, end] = tok.encode('')
  const apart = tok.encode('blorbs')
  assert.ok(tok.encode('blorb').length > 3)
  assert.equal(tok.add('blorb'), n)
  assert.equal(tok.add('wum'), n + 1)
  assert.deepEqual(tok.encode('BLORB, wum').filter(id => id >= n), [n, n + 1])
  assert.deepEqual(tok.encode('blorb'), [start, n, end])
  assert.deepEqual(tok.encode('blorbs'), apart)
  assert.equal(tok.decode([n, n + 1]), 'blorb wum')
})

it('add(word) refuses what is not one word, and a word that is a token', () => {
  const own = new ClipTokenizer(trainBpe('seven seven', 20))
  for (const bad of ['two words', '', 'Blorb', 'x-y', ' a']) {
    assert.throws(() => own.add(bad), /^Error: ClipTokenizer\.add: wanted one word, got '/, bad)
  }
  assert.throws(() => own.add('seven'), /^Error: ClipTokenizer\.add: "seven" is a token already$/)
  own.add('blorb')
  assert.throws(() => own.add('blorb'), /"blorb" is a token already$/)
})
