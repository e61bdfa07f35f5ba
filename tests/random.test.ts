import assert from 'node:assert/strict'
import { getState, rand, randn, seed, setState } from 'miniai/random'
import { useBackend } from 'miniai/engine'

// the reference values: AS 183 as the paper gives it, written anew in Python 3.11
before(async () => { await useBackend() })

const take = <T>(n: number, f: () => T) => Array.from({ length: n }, () => f())

it('seed(a) gives the states and numbers of AS 183', () => {
  const known: [number, number[], number[]][] = [
    [457428938475, [4976, 20238, 499],
      [0.7645251082582081, 0.7920889799553945, 0.06912886811267205]],
    [0, [1, 1, 1], [0.01693090619965683, 0.8952539112379991, 0.11149102121645216]],
    [42, [43, 1, 1], [0.25420336316883324, 0.46884405296716114, 0.19540525690312815]],
    [2 ** 53 - 1, [18176, 25639, 25224],
      [0.603831427708815, 0.34962806557063963, 0.8593717938894927]],
  ]
  for (const [a, state, numbers] of known) {
    seed(a)
    assert.deepEqual(getState(), state)
    assert.deepEqual(take(3, () => rand()), numbers)
  }
})

it('seed() without a number starts somewhere else each time', () => {
  const firsts = take(20, () => { seed(); return rand() })
  assert.equal(new Set(firsts).size, 20)
})

it('seed(a) refuses what is not a whole number from 0', () => {
  for (const a of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
    assert.throws(() => seed(a), new RegExp(`seed: wanted a whole number ≥ 0, got ${a}`))
  }
})

it('rand(shape) is the same numbers as rand(), and leaves the same state', () => {
  for (const n of [0, 1, 2, 3, 4, 5, 7, 30267, 30268, 30269, 100000]) {
    seed(457428938475)
    const singly = Float32Array.from(take(n, () => rand())), state = getState()
    seed(457428938475)
    assert.deepEqual(rand([n]).dataSync(), singly)
    assert.deepEqual(getState(), state)
  }
  assert.deepEqual(getState(), [13961, 13970, 16497])
})

it('rand(shape) has that shape, a scalar for []', () => {
  seed(0)
  const t = rand([2, 3, 4])
  assert.deepEqual([t.shape, t.dtype], [[2, 3, 4], 'float32'])
  assert.deepEqual(rand([]).shape, [])
})

it('rand stays below 1 where rounding to 32 bits would give 1', () => {
  setState([9914, 4775, 1943])
  assert.equal(rand(), 0.9999999973799649)
  assert.equal(Math.fround(0.9999999973799649), 1)
  for (const n of [1, 4]) {
    setState([9914, 4775, 1943])
    assert.equal(rand([n]).dataSync()[0], 1 - 2 ** -24)
  }
})

it('getState() gives a copy, setState(s) takes one', () => {
  seed(42)
  const s = getState()
  s[0] = 7
  assert.deepEqual(getState(), [43, 1, 1])
  setState(s)
  s[0] = 9
  assert.deepEqual(getState(), [7, 1, 1])
})

it('setState(s) refuses what getState cannot have given', () => {
  const outside = [[0, 1, 1], [30269, 1, 1], [1, 30307, 1], [1, 1, 30323], [1, 1, 0.5]]
  for (const s of [[], [1, 1], [1, 1, 1, 1], ...outside]) {
    assert.throws(() => setState(s as [number, number, number]), /setState: wanted a state/)
  }
})

it('randn() follows Box and Muller', () => {
  seed(42)
  const want = [-0.7512727877640188, -0.1594161139362063, 1.8476038917782824]
  for (const z of want) assert.ok(Math.abs(randn() - z) < 1e-12)
})

it('randn(shape) is the same numbers as randn(), and leaves the same state', () => {
  for (const n of [0, 1, 15134, 15135, 50000]) {
    seed(42)
    const singly = Float32Array.from(take(n, () => randn())), state = getState()
    seed(42)
    assert.deepEqual(randn([n]).dataSync(), singly)
    assert.deepEqual(getState(), state)
  }
})

it('randn(shape) is finite where a uniform number is almost 1', () => {
  setState([9914, 4775, 1943])
  const [z] = randn([1]).dataSync()
  assert.ok(Number.isFinite(z) && Math.abs(z) < 7)
})

it('randn: of a million numbers 68.27 % lie within 1 and 95.45 % within 2', () => {
  seed(1)
  const zs = randn([1000000]).dataSync() as Float32Array
  for (const [most, share] of [[1, 0.6827], [2, 0.9545], [3, 0.9973]]) {
    const n = zs.reduce((s, z) => s + Number(Math.abs(z) < most), 0)
    assert.ok(Math.abs(n / 1e6 - share) < 0.002, `${n} within ${most}`)
  }
})

it('rand and randn of a shape that is none are refused, and draw nothing', () => {
  seed(42)
  const before = getState()
  for (const shape of [[2.5], [1.5, 3], [-1], [NaN]]) {
    const message = `rand: wanted a shape of whole numbers ≥ 0, got [${shape}]`
    for (const f of [rand, randn]) assert.throws(() => f(shape), { name: 'RangeError', message })
  }
  assert.deepEqual(getState(), before)
})
