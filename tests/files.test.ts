import { strict as assert } from 'assert'
import { existsSync, readFileSync, writeFileSync } from 'fs'
import { join } from 'path'
import { gzipSync } from 'zlib'
import { gunzip, loadMnist, mkdir, sh, unpickle } from 'miniai/files'
import { temporary } from './folders'

/** A result in the form that `fixtures/pickles.json` keeps values in. */
function told(o: any): any {
  if (typeof o === 'bigint') return { big: String(o) }
  if (Object.is(o, -0)) return { float: '-0.0' }
  if (Math.abs(o) === Infinity) return { float: o > 0 ? 'inf' : '-inf' }
  if (o !== o) return { float: 'nan' }
  if (o instanceof Uint8Array) return { bytes: Buffer.from(o).toString('base64') }
  if (Array.isArray(o)) return o.map(told)
  if (o instanceof Map) return { map: sorted([...o].map(told)) }
  if (o instanceof Set) return { set: sorted([...o].map(told)) }
  if (o?.dtype) return { array: [o.dtype, o.shape, Array.from(o.data, item)] }
  return o && typeof o === 'object' ? { complex: [told(o.re), told(o.im)] } : o
}
const item = (o: any) => typeof o === 'bigint' ? { bigint: String(o) } : told(o)
const sorted = (o: any[]) => o.sort((a, b) => JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)

function resorted(o: any): any {
  if (Array.isArray(o)) return o.map(resorted)
  return o?.map ? { map: sorted(o.map.map(resorted)) } : o?.set ? { set: sorted(o.set) } : o
}

const pickles: { by: string, line: string, pickle: string, value: any }[] =
  JSON.parse(readFileSync(join(__dirname, 'fixtures/pickles.json'), 'utf8'))

it(`unpickle(bytes) reads ${pickles.length} pickles of Python 2 and 3, numpy 1 and 2`, () => {
  for (const { by, line, pickle, value } of pickles) {
    assert.deepEqual(told(unpickle(Buffer.from(pickle, 'base64'))),
      resorted(value), `${by}: ${line}`)
  }
})

const latin = (s: string) => Buffer.from(s, 'latin1')

it('unpickle(bytes) keeps what is shared shared, and lists that contain themselves', () => {
  const [a, b] = unpickle(latin('\x80\x02]q\x00(]q\x01h\x01e.')) as unknown[][]
  assert.equal(a, b)
  const self = unpickle(latin('\x80\x02]q\x00h\x00a.')) as unknown[]
  assert.equal(self[0], self)
})

it('unpickle(bytes) gives arrays memory of their own', () => {
  const o = pickles.find(o => o.line.includes('float32') || o.line.includes("'f4'"))!
  const bytes = Buffer.from(o.pickle, 'base64'), array = unpickle(bytes) as any
  array.data.fill(9)
  assert.deepEqual(told(unpickle(bytes)), o.value)
})

it('unpickle(bytes) prints an array in one line', () => {
  const o = pickles.find(o => o.line.includes("numpy.arange(24, dtype='>i2')"))!
  const text = require('util').inspect(unpickle(Buffer.from(o.pickle, 'base64')))
  assert.equal(text, 'int16 [2, 3, 4]: 0, 1, 2, 3, 4, 5, …')
})

const refused: [string, string, RegExp][] = [
  ['a function by name', 'cos\nsystem\n(S"id"\ntR.',
    /os\.system is asked for, which is not allowed, at byte 0$/],
  ['a function by stacked name', '\x80\x04\x8c\x02os\x8c\x06system\x93.',
    /os\.system .* at byte 14$/],
  ['a class by INST', '(ios\nsystem\n.', /os\.system/],
  ['builtins.eval', 'cbuiltins\neval\n.', /builtins\.eval/],
  ['names of JavaScript objects', 'cconstructor\nconstructor\n.', /constructor\.constructor/],
  ['a frame that is longer than the file', '\x80\x04\x95\xff\xff\xff\xff\0\0\0\0.',
    /a frame of 4294967295 bytes is wanted at byte 2/],
  ['bytes longer than the file', 'B\xff\xff\xff\x7fabc.',
    /2147483647 bytes are wanted and 4 left at byte 0/],
  ['text of 2^63 bytes', '\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.',
    /bytes are wanted and 1 left at byte 0/],
  ['a negative length', 'T\xff\xff\xff\xff.', /-1 bytes are wanted/],
  ['no bytes', '', /1 bytes are wanted and 0 left at byte 0/],
  ['a missing end', 'N', /at byte 1$/],
  ['an empty stack', '.', /nothing is left on the stack at byte 0/],
  ['an unknown instruction', 'N\xfe.', /the unknown instruction 254 at byte 1/],
  ['protocol 6', '\x80\x06N.', /protocol 6 is not known at byte 0/],
  ['a number that was never stored', 'h\x07.', /number 7 was never stored at byte 0/],
  ['a dict with an odd item', '(Nd.', /a key without its value at byte 2/],
  ['filling a number', 'K\x01K\x02a.', /no Array is to be filled at byte 4/],
  ['calling a number', 'K\x01)R.', /no function is called at byte 3/],
  ['a state for a list', ']Nb.', /takes none at byte 2/],
  ['words for a number', 'Iabc\n.', /“abc” is no whole number at byte 0/],
  ['a string without quotes', 'Sabc\n.', /without its quotes at byte 0/],
  ['broken UTF-8', 'X\x02\0\0\0\xc3\x28.', /not UTF-8 at byte 0/],
  ['a buffer that lies elsewhere', '\x80\x05\x97.', /outside the pickle is wanted at byte 2/],
  ['an outside id', 'Pabc\n.', /points outside, at 'abc', at byte 0/],
  ['an array of objects', "cnumpy\ndtype\n(S'O8'\nI0\nI1\ntR.",
    /an array of type O8, which is not read, at byte 27/]
]

for (const [what, bytes, message] of refused) {
  it(`unpickle(bytes) refuses ${what}`, () => {
    assert.throws(() => unpickle(latin(bytes)), (e: Error) =>
      /^unpickle: .* at byte \d+$/s.test(e.message) && message.test(e.message))
  })
}

it('unpickle(bytes) refuses an array whose bytes do not fit its shape, before making it', () => {
  const line = "pickle.dumps(numpy.arange(6, dtype='f4').reshape(2, 3), 2)"
  const o = pickles.find(o => o.line === line)!
  const bytes = Buffer.from(o.pickle, 'base64'), shape = bytes.indexOf(latin('K\x02K\x03\x86'))
  bytes[shape + 1] = 200
  const message = /array \[200,3\] of float32 has 24 bytes in place of 2400, at/
  assert.throws(() => unpickle(bytes), message)
})

it('unpickle(bytes, {limit}) stops small pickles that want much memory', () => {
  const bombs = ['}'.repeat(1e6), '\x8f'.repeat(1e6), '(l0'.repeat(1e6), 'N0'.repeat(1e6),
    '('.repeat(1e6), ']r\0\0\0\0'.repeat(1e6),
    `c_codecs\nencode\nq\0U\xff${'x'.repeat(255)}q\x01${'h\0h\x01\x85R'.repeat(3e5)}`]
  for (const o of bombs) assert.throws(() => unpickle(latin(`${o}N.`), { limit: 1e7 }),
    /limit of 10000000 bytes/)
})

it('unpickle(bytes) survives a million lists in each other, and forty doublings', () => {
  let o: any = unpickle(latin(`${']'.repeat(1e6)}${'a'.repeat(1e6 - 1)}.`)), depth = 0
  for (; o; o = o[0]) depth++
  assert.equal(depth, 1e6)
  const twice = (i: number) => latin(`q-h-\x86`).map(o => o === 45 ? i : o)
  const doublings = Array.from({ length: 40 }, (_, i) => [...twice(i)]).flat()
  const doubled = unpickle(Buffer.from([93, ...doublings, 46]))
  assert.equal((doubled as any[]).length, 2)
})

it('unpickle(bytes, {globals, persistentLoad}) lets functions be allowed by name', () => {
  class Ordered extends Map { state: unknown; setState(o: unknown) { this.state = o } }
  const fields = 'X\x01\0\0\0wX\x02\0\0\0id\x85QuK\x05b'
  const bytes = latin(`\x80\x02ccollections\nOrderedDict\n)R(${fields}.`)
  const o = unpickle(bytes, {
    globals: { 'collections.OrderedDict': () => new Ordered() },
    persistentLoad: id => ({ from: id })
  }) as Ordered
  assert.deepEqual([...o], [['w', { from: ['id'] }]])
  assert.equal(o.state, 5)
  assert.throws(() => unpickle(bytes), /collections\.OrderedDict is asked for/)
})

/** Numbers from 0 to below 1, the same in each run (mulberry32). */
function* random(seed: number): Generator<number> {
  for (;;) {
    let t = seed += 0x6d2b79f5
    t = Math.imul(t ^ t >>> 15, t | 1)
    t ^= t + Math.imul(t ^ t >>> 7, t | 61)
    yield ((t ^ t >>> 14) >>> 0) / 2 ** 32
  }
}

/** `bytes` with a few bytes changed, taken out or put in, or cut off. */
function damaged(bytes: Buffer, r: () => number): Buffer {
  let o = Buffer.from(bytes)
  for (let n = 1 + Math.floor(r() * 3); n > 0; n--) {
    const at = Math.floor(r() * o.length), kind = r()
    const [head, tail] = [o.subarray(0, at), o.subarray(at)]
    if (kind < 0.5) o[at] = r() * 256
    else if (kind < 0.6) o[at] ^= 1 << Math.floor(r() * 8)
    else if (kind < 0.75) o = Buffer.concat([head, tail.subarray(1 + r() * 4)])
    else if (kind < 0.9) o = Buffer.concat([head, Buffer.of(r() * 256), tail])
    else o = head
  }
  return o
}

/** Run `f` on `n` damaged forms of `samples`: a result or an error of this `form`, at once. */
function fuzz(samples: Buffer[], n: number, form: RegExp, f: (o: Buffer) => unknown) {
  const numbers = random(1), r = () => numbers.next().value, { rss } = process.memoryUsage()
  let refused = 0
  for (let i = 0; i < n; i++) {
    const bytes = damaged(samples[Math.floor(r() * samples.length)], r), start = performance.now()
    try { f(bytes) } catch (e) {
      assert.match((e as Error).message, form, bytes.toString('base64'))
      refused++
    }
    assert.ok(performance.now() - start < 2000, bytes.toString('base64'))
  }
  assert.ok(refused > n / 4 && refused < n)
  assert.ok(process.memoryUsage().rss - rss < 1e9)
}

it('unpickle(bytes) survives 6,000 damaged pickles: a result or one sentence with the byte', () => {
  fuzz(pickles.map(o => Buffer.from(o.pickle, 'base64')), 6000, /^unpickle: [^\n]* at byte \d+$/,
    unpickle)
}).timeout(30000)

it('gunzip(bytes) survives 2,000 damaged files: a result or one sentence with the byte', () => {
  const lines = pickles.map(o => o.line).join('\n')
  const samples = [20, 400, 4000].map(n => gzipSync(lines.slice(0, n)))
  fuzz([...samples, Buffer.concat(samples)], 2000, /^gunzip: [^\n]* at byte \d+$/, gunzip)
}).timeout(30000)

const text = Buffer.from('roses are red, '.repeat(1000))

it('gunzip(bytes) joins the parts of a file and allows zeros behind them', () => {
  const two = Buffer.concat([gzipSync(text), gzipSync('violets'), Buffer.alloc(512)])
  assert.equal(gunzip(two).toString(), `${text}violets`)
  assert.equal(gunzip(gzipSync('')).length, 0)
})

it('gunzip(bytes) names the byte of the damage', () => {
  const gz = gzipSync(text), flipped = Buffer.from(gz), sum = Buffer.from(gz)
  flipped[0] = 0
  sum[sum.length - 6] ^= 1
  assert.throws(() => gunzip(flipped), /^Error: gunzip: incorrect header check at byte [01]$/)
  const place = gz.length - 5
  assert.throws(() => gunzip(sum), { message: `gunzip: incorrect data check at byte ${place}` })
  assert.throws(() => gunzip(gz.subarray(0, 50)), /gunzip: the data end too early, at byte 50$/)
  assert.throws(() => gunzip(Buffer.alloc(0)), /too early, at byte 0/)
  assert.throws(() => gunzip(Buffer.concat([gz, Buffer.from('more')])),
    /gunzip: incorrect header check at byte/)
  assert.throws(() => gunzip(Buffer.concat([gz, Buffer.from('\0\0more')])),
    { message: `gunzip: something that is not gzip at byte ${gz.length + 2}` })
})

it('gunzip(bytes, {limit}) refuses more output than that, also from a bomb', () => {
  assert.equal(gunzip(gzipSync(text), { limit: text.length }).length, text.length)
  assert.throws(() => gunzip(gzipSync(text), { limit: text.length - 1 }),
    /gunzip: more than the limit of 14999 bytes come out/)
  const bomb = gzipSync(Buffer.alloc(5e7))
  assert.throws(() => gunzip(bomb, { limit: 1e6 }), /limit of 1000000 bytes/)
})

it('loadMnist() gives the digits with their exact numbers', async () => {
  const { train, valid, test } = await loadMnist()
  assert.deepEqual([train, valid, test].map(o => o.x.shape[0]), [50000, 10000, 10000])
  assert.deepEqual(test.x.shape, [10000, 784])
  assert.deepEqual([train, valid, test].map(o => o.y.shape), [[50000], [10000], [10000]])
  assert.deepEqual([...train.x.data.slice(200, 210)], [0, 0, 0, 0.19140625, 0.9296875,
    ...Array(5).fill(0.98828125)])
  assert.deepEqual([...train.y.data.slice(0, 3)], [5, 0, 4])
  assert.equal(train.x.dtype, 'float32')
})

it('loadMnist(path) refuses another file', async () => {
  const path = join(temporary(), 'x.pkl.gz')
  writeFileSync(path, gzipSync(latin('\x80\x02((]]t(]]t(]]tt.')))
  await assert.rejects(loadMnist(path), /loadMnist: expected shapes \[50000,784\] and \[50000\]/)
})

it('mkdir(path) makes all folders and may be called twice', () => {
  const path = join(temporary(), 'a/b/c')
  assert.equal(mkdir(mkdir(path)), path)
  assert.ok(existsSync(path))
})

it('sh(command) gives the output, and an error with the words of a command that fails', () => {
  assert.equal(sh('echo one; echo two'), 'one\ntwo')
  assert.throws(() => sh('echo wrong >&2; exit 3'),
    { message: 'sh: echo wrong >&2; exit 3: ended with 3: wrong' })
  assert.throws(() => sh('kill -9 $$'), /was stopped by SIGKILL/)
})
