import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { inflateSync } from 'node:zlib'
import { npyBytes, wishOf } from '../scripts/sample'
import { hasTensorflow, runChild } from './children'

const root = join(__dirname, '..'), samplers = ['ddim', 'dpmpp2m', 'lms']
const wish = (text: string) => wishOf(text.split(' ').filter(Boolean), samplers)

function run(cwd: string, words: string[], env: NodeJS.ProcessEnv = {}) {
  const args = ['-r', join(root, 'scripts/load.cjs'), join(root, 'scripts/sample.ts'), ...words]
  return spawnSync(process.execPath, args, { cwd, encoding: 'utf8', env: { ...process.env, ...env } })
}

it('sample with nothing asked for is ten of each digit in digits.png', () => {
  const { digits, ...rest } = wish('')
  assert.deepEqual([digits.length, digits.slice(8, 12), digits.filter(o => o === 3).length], [100, [8, 9, 0, 1], 10])
  assert.deepEqual(rest, { out: 'digits.png', npy: undefined, options: { sampler: 'dpmpp2m', seed: 1, steps: 20, g: 1.9 } })
})

it('sample --digit 7 --n 3 and the other flags, with = or a blank, are read', () => {
  assert.deepEqual(wish('--digit 7 --n=3 --out sevens.png --seed 5 --steps=4 --guidance -1.5 --sampler lms'),
    { digits: [7, 7, 7], out: 'sevens.png', npy: undefined, options: { sampler: 'lms', seed: 5, steps: 4, g: -1.5 } })
  assert.equal(wish('--digit 0').digits.length, 16)
})

it('sample --npy alone writes beside the picture, --npy FILE writes only that file', () => {
  assert.deepEqual([wish('--npy --out a.png').npy, wish('--out a.png --npy').npy, wish('--npy=').npy], ['a.npy', 'a.npy', 'digits.npy'])
  const { out, npy } = wish('--npy b.npy')
  assert.deepEqual([out, npy], [undefined, 'b.npy'])
})

const refusals: [string, RegExp][] = [
  ['--digit 10', /^sample: --digit wants a whole number from 0 to 9, got "10"$/],
  ['--digit seven', /^sample: --digit wants a whole number from 0 to 9, got "seven"$/],
  ['--digit', /^sample: --digit wants a value, as in --digit 7/],
  ['--n 0', /^sample: --n wants a whole number from 1 to 1000, got "0"$/],
  ['--n 2.5', /^sample: --n wants a whole number from 1 to 1000, got "2\.5"$/],
  ['--steps 0', /^sample: --steps wants a whole number from 1 to 1000, got "0"$/],
  ['--guidance NaN', /^sample: --guidance wants a number from -100 to 100, got "NaN"$/],
  ['--sampler magic', /^sample: there is no sampler "magic"; there are ddim, dpmpp2m, lms$/],
  ['--n 3 --n 4', /^sample: --n stands there twice$/],
  ['--out=', /^sample: --out wants the name of a file$/],
  ['--out nowhere/a.png', /^sample: there is no folder .*nowhere for a\.png$/],
  ['--npy=nowhere/a.npy', /^sample: there is no folder .*nowhere for a\.npy$/],
  ['--out a --npy a', /^sample: picture and numbers would both be a$/],
  ['--steps 1001', /^sample: --steps wants a whole number from 1 to 1000, got "1001"$/],
  ['--colour red', /^sample: what is "--colour"\? Known is, for example, --digit 7/],
  ['seven', /^sample: what is "seven"\?/]
]
for (const [words, why] of refusals) {
  it(`sample ${words} is refused in one sentence`, () => assert.throws(() => wish(words), { message: why }))
}

it('npyBytes writes NumPy\'s format: magic, header that ends at a multiple of 64, numbers', () => {
  const bytes = npyBytes(Float32Array.of(1, 2, 3, 4), [2, 2]), length = bytes.readUInt16LE(8)
  assert.equal(bytes.subarray(0, 8).toString('latin1'), '\x93NUMPY\x01\x00')
  assert.equal((10 + length) % 64, 0)
  assert.match(bytes.subarray(10, 10 + length).toString(), /^\{'descr': '<f4', 'fortran_order': False, 'shape': \(2, 2\), \} *\n$/)
  assert.deepEqual([0, 1, 2, 3].map(i => bytes.readFloatLE(10 + length + 4 * i)), [1, 2, 3, 4])
})

it('sample refuses on the command line with one line and exit code 1, and writes nothing', () => {
  const folder = mkdtempSync(join(tmpdir(), 'miniai-sample-'))
  try {
    const { status, stderr, stdout } = run(folder, ['--digit', 'x', '--out', 'x.png'])
    assert.deepEqual([status, stdout, stderr], [1, '', 'sample: --digit wants a whole number from 0 to 9, got "x"\n'])
    assert.ok(!existsSync(join(folder, 'x.png')))
  } finally { rmSync(folder, { recursive: true }) }
})

/** A folder of its own for what `f` does. */
function inFolder(f: (folder: string) => void) {
  const folder = mkdtempSync(join(tmpdir(), 'miniai-sample-'))
  try { f(folder) } finally { rmSync(folder, { recursive: true }) }
}

const seconds = { wasm: 120, ...hasTensorflow ? { tensorflow: 30 } : {} }
for (const [backend, most] of Object.entries(seconds)) {
  it(`sample --digit 7 --n 16 --out sevens.png makes sixteen sevens on ${backend} within ${most} s`, function () {
    this.timeout(1000 * most + 30_000)
    inFolder(folder => {
      const start = performance.now(), words = ['--digit', '7', '--n', '16', '--out', 'sevens.png', '--npy']
      const { status, stderr } = run(folder, words, { MINIAI_BACKEND: backend }), took = (performance.now() - start) / 1000
      assert.equal(status, 0, stderr)
      const busy = Math.max(1, loadavg()[0] / availableParallelism()) // what others leave of the machine
      assert.ok(took < most * busy, `${took} s on a machine ${busy} times as busy as it should be`)
      const read = runChild(`await useBackend('wasm')
        const bytes = require('fs').readFileSync(${JSON.stringify(join(folder, 'sevens.npy'))})
        const xs = new Float32Array(Uint8Array.prototype.slice.call(bytes, -4 * 16 * 784).buffer)
        const { loadClassifier } = require('miniai/convnet')
        console.log([...loadClassifier('judge').call(tf.tensor(xs, [16, 28, 28, 1])).argMax(1).dataSync()].join(' '))`)
      assert.equal(read.out, Array(16).fill(7).join(' '), read.err)
    })
  })
}

it('sample --digit 7 --n 4 makes a picture and its numbers, on wasm, alike whatever n is', function () {
  this.timeout(120_000)
  const folder = mkdtempSync(join(tmpdir(), 'miniai-sample-')), env = { MINIAI_BACKEND: 'wasm' }
  const numbers = (name: string) => {
    const bytes = readFileSync(join(folder, name)), at = 10 + bytes.readUInt16LE(8)
    return new Float32Array(Uint8Array.prototype.slice.call(bytes, at).buffer)
  }
  try {
    const { status, stderr, stdout } = run(folder, ['--digit', '7', '--n', '4', '--steps', '4', '--out', 'sevens.png', '--npy'], env)
    assert.equal(status, 0, stderr)
    assert.match(stdout, /^wasm .*\n4 digits in [\d.]+ s: .*sevens\.png and .*sevens\.npy\n$/)
    const png = readFileSync(join(folder, 'sevens.png')), xs = numbers('sevens.npy')
    assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [2 * 56 + 4, 2 * 56 + 4])
    const start = png.indexOf('IDAT') + 4
    assert.equal(inflateSync(png.subarray(start, start + png.readUInt32BE(start - 8))).length, 116 * (4 * 116 + 1))
    assert.equal(xs.length, 4 * 28 * 28)
    assert.ok(xs.every(x => x >= 0 && x <= 1) && xs.some(x => x > 0.9) && xs.some(x => x < 0.1))
    assert.equal(run(folder, ['--digit', '7', '--n', '1', '--steps', '4', '--npy', 'one.npy'], env).status, 0)
    const far = numbers('one.npy').reduce((most, x, i) => Math.max(most, Math.abs(x - xs[i])), 0)
    assert.ok(far < 1e-4, `${far}`)
  } finally { rmSync(folder, { recursive: true }) }
})
