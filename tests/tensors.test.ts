import assert from 'node:assert/strict'
import { tf, useBackend } from 'miniai/engine'
import { NdArray } from 'miniai/files'
import { at, mnistTensors, tensor } from 'miniai/tensors'

before(async () => { await useBackend() })

const x = () => tf.range(0, 24).reshape([2, 3, 4])

it('tensor(array) keeps floats as float32 and makes whole numbers int32', () => {
  const cases: [string, NdArray['data'], string][] = [
    ['float64', Float64Array.of(1, 2, 3, 4), 'float32'],
    ['float32', Float32Array.of(1, 2, 3, 4), 'float32'],
    ['int64', BigInt64Array.of(1n, 2n, 3n, 4n), 'int32'],
    ['uint8', Uint8Array.of(1, 2, 3, 4), 'int32'],
  ]
  for (const [dtype, data, want] of cases) {
    const t = tensor({ shape: [2, 2], dtype, data })
    assert.equal(t.dtype, want)
    assert.deepEqual(t.arraySync(), [[1, 2], [3, 4]])
  }
})

it('tensor(xs) takes a number, lists and typed arrays', () => {
  assert.deepEqual(tensor(3).shape, [])
  assert.deepEqual(tensor([[1], [2]]).shape, [2, 1])
  assert.deepEqual(tensor(Float32Array.of(1, 2)).arraySync(), [1, 2])
})

it('tensor(array) refuses a shape that does not hold the numbers', () => {
  const short = { shape: [3], dtype: 'int64', data: BigInt64Array.of(1n) }
  assert.throws(() => tensor(short), /size|values/)
})

it('at(x, …) picks by numbers, counts from the end, keeps by pairs', () => {
  assert.equal(at(x(), 1, 2, 3).arraySync(), 23)
  assert.deepEqual(at(x(), -1, 0).arraySync(), [12, 13, 14, 15])
  assert.deepEqual(at(x(), 0, [1, 3], 2).arraySync(), [6, 10])
  assert.deepEqual(at(x(), [0, 2], 0, [0, 1]).arraySync(), [[0], [12]])
  assert.deepEqual(at(x(), [0, 1]).shape, [1, 3, 4])
  assert.deepEqual(at(x()).shape, [2, 3, 4])
})

it('at(x, [from, to]) ends with the axis, as a slice in Python does', () => {
  assert.deepEqual(at(x(), 0, [1, 99]).shape, [2, 4])
  assert.deepEqual(at(x(), 0, [3, 3]).shape, [0, 4])
})

it('at(x, …) refuses an index outside its axis and too many indices', () => {
  assert.throws(() => at(x(), 2), /at: index 2 is outside axis 0 of \[2,3,4\]/)
  assert.throws(() => at(x(), 0, -4), /at: index -4 is outside axis 1/)
  assert.throws(() => at(x(), 0, [4, 6]), /at: index 4,6 is outside axis 1/)
  assert.throws(() => at(x(), 0, [2, 1]), /at: index 2,1 is outside axis 1/)
  assert.throws(() => at(x(), 0.5), /at: index 0.5 is outside axis 0/)
  assert.throws(() => at(x(), 0, 0, 0, 0), /at: 4 indices, the rank is 3/)
})

it('at(x, …) leaves one new tensor', () => {
  const y = x(), before = tf.memory().numTensors
  at(y, 0, 1)
  assert.equal(tf.memory().numTensors, before + 1)
})

it('mnistTensors() gives four tensors; the first labels are those of MNIST', async () => {
  const [xTrain, yTrain, xValid, yValid] = await mnistTensors()
  assert.deepEqual([xTrain.shape, yTrain.shape], [[50000, 784], [50000]])
  assert.deepEqual([xValid.shape, yValid.shape], [[10000, 784], [10000]])
  assert.deepEqual([xTrain.dtype, yTrain.dtype], ['float32', 'int32'])
  assert.deepEqual(at(yTrain, [0, 10]).arraySync(), [5, 0, 4, 1, 9, 2, 1, 3, 1, 4])
  assert.deepEqual(at(yValid, [0, 10]).arraySync(), [3, 8, 6, 9, 6, 4, 5, 3, 8, 4])
})
