import { strict as assert } from 'assert'
import { check, testClose, testEq, testFails, testIs, testNe } from 'miniai/test'

const tensor = (rows: number[][]) => ({ arraySync: () => rows })

it('testEq(a, b) compares lists, typed arrays and tensors by their values', () => {
  testEq([[1, 2], [3, 4]], tensor([[1, 2], [3, 4]]))
  testEq(new Float32Array([1, 2]), [1, 2])
  testEq([], new Uint8Array(0))
  testEq(NaN, NaN)
  testEq(0, -0)
  testEq({ a: [1, 'b'] }, { a: [1, 'b'] })
})

it('testEq(a, b) names the first place that differs and prints both sides', () => {
  assert.throws(() => testEq([[1, 2], [3, 4]], [[1, 2], [3, 5]]), {
    message: 'testEq: the two differ at [1][1]\n  [ [ 1, 2 ], [ 3, 4 ] ]\n  [ [ 1, 2 ], [ 3, 5 ] ]'
  })
  assert.throws(() => testEq([1], [1, 2]), /differ at \.length/)
  assert.throws(() => testEq(1, '1'), /1\n {2}'1'/)
  assert.throws(() => testEq([1], 1), /the two differ/)
  assert.throws(() => testEq(null, undefined), /the two differ/)
  assert.throws(() => testEq(NaN, 0), /the two differ/)
})

it('testNe(a, b) refuses what testEq accepts', () => {
  testNe([1], [2])
  assert.throws(() => testNe([1, NaN], new Float32Array([1, NaN])), /testNe: the two are equal/)
})

it('testClose(a, b, eps) allows eps and no more', () => {
  testClose([1, [2.0000099]], [1, [2]])
  testClose(1, 1.4, 0.5)
  testClose(Infinity, Infinity)
  assert.throws(() => testClose([1, [2.00002]], [1, [2]]), /more than 0.00001 apart at \[1\]\[0\]/)
  assert.throws(() => testClose(1, NaN), /apart/)
  assert.throws(() => testClose(Infinity, -Infinity), /apart/)
  assert.throws(() => testClose([1], ['1']), /apart/)
})

it('testIs(a, b) wants the same object', () => {
  const a = [1]
  testIs(a, a)
  assert.throws(() => testIs(a, [1]), /not the same object/)
})

it('testFails(f, contains) wants an error with these words', () => {
  testFails(() => { throw new RangeError('too far') }, 'RangeError: too')
  testFails(() => { throw 'a string' }, 'string')
  assert.throws(() => testFails(() => 1), /nothing was thrown/)
  assert.throws(() => testFails(() => { throw new Error('a') }, 'b'), /failed with other words/)
})

it('testFails(async f) gives a promise of the same', async () => {
  await testFails(async () => { throw new Error('late') }, 'late')
  await assert.rejects(testFails(async () => 1), /nothing was thrown/)
  await assert.rejects(testFails(async () => { throw new Error('a') }, 'b'), /other words/)
})

it('check(name, f) prints a tick or what is missing, and never throws', () => {
  const lines: string[] = []
  const log = console.log
  console.log = (s: string) => lines.push(s)
  try {
    check('right', () => testEq(1, 1))
    check('wrong', () => testEq(1, 2))
    check('empty', () => { throw new Error('') })
  } finally { console.log = log }
  assert.deepEqual(lines, ['✓ right', '· wrong: not yet. testEq: the two differ\n  1\n  2',
    '· empty: not yet. Error'])
})
