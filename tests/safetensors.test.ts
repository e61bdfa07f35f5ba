import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tf, useBackend } from 'miniai/engine'
import { loadModel, loadTensors, openTensors, saveModel, saveTensors } from 'miniai/safetensors'
import { Linear, Sequential } from 'miniai/training'
import { temporary } from './folders'

before(async () => { await useBackend() })

const folder = temporary(), path = join(folder, 'a.safetensors')

/** A file with this header and these numbers. */
function file(header: unknown, data: number[] = []) {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  writeFileSync(path, Buffer.concat([length, text, Buffer.from(data)]))
}
const refused = (words: RegExp) => {
  const before = tf.memory().numTensors
  assert.throws(() => loadTensors(path), words)
  assert.equal(tf.memory().numTensors, before, 'a refused file leaves no tensor')
}

it('saveTensors and loadTensors keep numbers, shapes, types and texts', () => {
  const tensors = { 'a.ä': tf.tensor([[1.5, NaN, -Infinity]]), i: tf.tensor(-7, [], 'int32'),
    b: tf.tensor([true, false, true], [3], 'bool'), none: tf.zeros([0, 4]) }
  saveTensors(path, tensors, { 'a "text"': 'ö\n' })
  const { tensors: back, metadata } = loadTensors(path)
  for (const [name, x] of Object.entries(tensors)) {
    assert.deepEqual([back[name].shape, back[name].dtype], [x.shape, x.dtype])
    assert.deepEqual([...back[name].dataSync()], [...x.dataSync()])
  }
  assert.deepEqual(metadata, { 'a "text"': 'ö\n' })
  assert.deepEqual(readdirSync(folder), ['a.safetensors'], 'no temporary file is left')
})

it('saveTensors begins the numbers at a multiple of eight, as the format wants', () => {
  for (const name of ['a', 'ab', 'abc', 'ä']) {
    saveTensors(path, { [name]: tf.zeros([1]) })
    assert.equal(readFileSync(path).readBigUInt64LE() % 8n, 0n)
  }
})

it('loadTensors(path, { only }) reads the tensors that are picked', () => {
  saveTensors(path, { a: tf.zeros([2]), b: tf.ones([3]) })
  const { tensors } = loadTensors(path, { only: name => name === 'b' })
  assert.deepEqual(Object.keys(tensors), ['b'])
  assert.deepEqual([...tensors.b.dataSync()], [1, 1, 1])
})

it('loadTensors reads half, brain, double and long numbers', () => {
  // Python 3.11's struct.pack of 1.5 and -2 as '<2e', the upper halves of '<2f', '<2d', and of
  // 3 and -4 as '<2q'
  const halves = [0, 0x3e, 0, 0xc0], brains = [0xc0, 0x3f, 0, 0xc0]
  const doubles = [0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xc0]
  const longs = [3, 0, 0, 0, 0, 0, 0, 0, 0xfc, 255, 255, 255, 255, 255, 255, 255]
  const entry = (dtype: string, ...data_offsets: number[]) => ({ dtype, shape: [2], data_offsets })
  file({ h: entry('F16', 0, 4), b: entry('BF16', 4, 8), d: entry('F64', 8, 24),
    l: entry('I64', 24, 40) }, [...halves, ...brains, ...doubles, ...longs])
  const { tensors } = loadTensors(path), values = (name: string) => [...tensors[name].dataSync()]
  for (const name of 'hbd') assert.deepEqual(values(name), [1.5, -2])
  assert.deepEqual(values('l'), [3, -4])
})

it('openTensors(path) tells shapes and types, reads each tensor when it is asked for, and no other file of that name', () => {
  saveTensors(path, { a: tf.tensor([[1, 2]]), b: tf.tensor([3], [1], 'int32') }, { made: 'here' })
  const { tensors: { a, b }, metadata } = openTensors(path), before = tf.memory().numTensors
  assert.deepEqual([a.shape, a.type, b.shape, b.type, metadata], [[1, 2], 'F32', [1], 'I32', { made: 'here' }])
  assert.deepEqual([a.read(), b.read()].map(o => [...o.dataSync()]), [[1, 2], [3]])
  assert.equal(tf.memory().numTensors, before + 2)
  saveTensors(path, { a: tf.tensor([[5, 6]]), b: tf.tensor([7], [1], 'int32') }, { made: 'here' })
  assert.throws(() => b.read(), /a.safetensors was changed meanwhile$/)
  writeFileSync(path, '')
  assert.throws(() => a.read(), /a.safetensors was changed meanwhile$/)
})

it('loadTensors names the tensor that is wrong', () => {
  const x = { dtype: 'F32', shape: [1], data_offsets: [0, 4] }, four = [0, 0, 0, 0]
  const wrong = (entry: unknown, words: RegExp, data = four) => {
    file({ 'w.x': entry }, data)
    refused(words)
  }
  wrong({ ...x, dtype: 'F4' }, /"w.x" is of an unknown type, "F4"/)
  wrong({ ...x, dtype: 'toString' }, /"w.x" is of an unknown type/)
  wrong({ ...x, shape: [-1] }, /"w.x" has no shape/)
  wrong({ ...x, shape: 'one' }, /"w.x" has no shape/)
  wrong({ ...x, shape: [2] }, /"w.x" needs 8 bytes for \[2\], has 4/)
  wrong({ ...x, data_offsets: [4, 8] }, /"w.x" begins at byte 4, wanted 0/)
  wrong(x, /"w.x" ends at byte 4, but the file's numbers end at 3: it is cut off/, [0, 0, 0])
  wrong(x, /1 bytes after "w.x" belong to no tensor/, [0, 0, 0, 0, 0])
  wrong(null, /"w.x" is of an unknown type/)
  const places = [undefined, null, 4, [], [0], [0, 4, 4], [null, 4], ['0', 4], [-4, 0]]
  for (const data_offsets of places) {
    wrong({ ...x, data_offsets }, /"w.x" has no place in the file/)
  }
})

it('loadTensors refuses what is no safetensors file', () => {
  writeFileSync(path, 'PK')
  refused(/is not a safetensors file: it has 2 bytes/)
  writeFileSync(path, 'PK, and a few more bytes')
  refused(/is not a safetensors file: its header would have/)
  for (const text of ['{', '[]', 'null', '3']) {
    file(text)
    refused(/is not a safetensors file: its header is no/)
  }
})

it('loadTensors refuses texts that are none', () => {
  for (const texts of [null, 3, 'words', ['a'], { a: 1 }, { a: null }]) {
    file({ __metadata__: texts })
    refused(/is not a safetensors file: its __metadata__ are no texts/)
  }
})

it('loadTensors refuses long numbers without room in 32 bits, naming tensor and number', () => {
  for (const n of [2n ** 32n, 2n ** 31n, -(2n ** 31n) - 1n]) {
    const data = [...new Uint8Array(BigInt64Array.of(1n, n).buffer)]
    file({ l: { dtype: 'I64', shape: [2], data_offsets: [0, 16] } }, data)
    refused(new RegExp(`a.safetensors: "l" has the number ${n}, wanted one of 32 bits`))
  }
  const data = [...new Uint8Array(BigInt64Array.of(2n ** 31n - 1n, -(2n ** 31n)).buffer)]
  file({ l: { dtype: 'I64', shape: [2], data_offsets: [0, 16] } }, data)
  assert.deepEqual([...loadTensors(path).tensors.l.dataSync()], [2 ** 31 - 1, -(2 ** 31)])
})

it('saveTensors keeps a tensor of any name but the texts’ own', () => {
  const tensors = Object.fromEntries(['__proto__', 'constructor', ''].map((name, i) =>
    [name, tf.tensor([i, 7])]))
  saveTensors(path, tensors)
  const { tensors: back } = loadTensors(path)
  assert.deepEqual(Object.keys(back).sort(), Object.keys(tensors).sort())
  for (const [name, x] of Object.entries(tensors)) {
    assert.deepEqual([...Object.getOwnPropertyDescriptor(back, name)!.value.dataSync()],
      [...x.dataSync()])
  }
  const message = 'saveTensors: "__metadata__" is the name of the texts, not of a tensor'
  assert.throws(() => saveTensors(path, { __metadata__: tf.ones([1]) }), { message })
})

it('saveTensors refuses a text that would be a fingerprint; one of other programs is read', () => {
  const message = 'saveTensors: the text "sha256.a" would be taken for a fingerprint'
  assert.throws(() => saveTensors(path, { b: tf.ones([1]) }, { 'sha256.a': 'x' }), { message })
  file({ __metadata__: { 'sha256.a': 'x', 'sha256.': 'y' } })
  assert.deepEqual(loadTensors(path).metadata, { 'sha256.a': 'x', 'sha256.': 'y' })
})

it('loadTensors notices each flipped byte of the numbers and names the tensor', () => {
  saveTensors(path, { first: tf.ones([4]), second: tf.ones([4]) })
  const bytes = readFileSync(path)
  for (let i = 1; i <= 32; i++) {
    const bad = Buffer.from(bytes)
    bad[bad.length - i] ^= 1
    writeFileSync(path, bad)
    refused(new RegExp(`"${i <= 16 ? 'second' : 'first'}" is damaged`))
  }
})

it('loadModel refuses another model and changes nothing', () => {
  const make = (nf: number) => new Sequential(new Linear(3, 2), new Linear(2, nf))
  const [a, b] = [make(4), make(5)], old = b.state()['0.weight'].dataSync().slice()
  saveModel(path, a)
  assert.throws(() => loadModel(path, b), /"1.weight" has the shape \[2,4\], wanted \[2,5\]/)
  assert.deepEqual(b.state()['0.weight'].dataSync(), old)
  assert.throws(() => loadModel(path, new Linear(3, 2)), /there is no "weight"/)
  const short = new Sequential(new Linear(3, 2))
  assert.throws(() => loadModel(path, short), /"1.weight" belongs to another model/)
})

it('saveTensors refuses texts as numbers, naming the tensor', () => {
  assert.throws(() => saveTensors(path, { words: tf.tensor(['a']) }), /"words" has the type string/)
})

it('saveTensors refuses texts that are none, and a place that cannot be written, and leaves nothing', () => {
  const folder = temporary(), x = { x: tf.ones([2]) }
  const texts = { epoch: 3 } as unknown as Record<string, string>
  assert.throws(() => saveTensors(join(folder, 'a'), x, texts), { message: 'saveTensors: wanted texts, got 3 under "epoch"' })
  assert.throws(() => saveTensors(join(folder, 'no/a'), x), { message: `there is no folder ${join(folder, 'no')} to write to` })
  mkdirSync(join(folder, 'taken'))
  assert.throws(() => saveTensors(join(folder, 'taken'), x), { code: 'EISDIR' })
  assert.deepEqual(readdirSync(folder), ['taken'])
})
