import assert from 'node:assert/strict'
import { loadClassifier } from 'miniai/convnet'
import { tf, useBackend } from 'miniai/engine'
import { cloud, eigen, featuresOf, fid, kid, sqrtm } from 'miniai/fid'
import { randn, seed } from 'miniai/random'
import { mnistTensors } from 'miniai/tensors'

before(() => useBackend())

const close = (a: number, b: number, eps = 1e-6) => assert.ok(Math.abs(a - b) < eps, `${a} for ${b}`)
const grid = (n: number, f: (i: number, j: number) => number) =>
  tf.tensor2d(Array.from({ length: n }, (_, i) => Array.from({ length: 6 }, (_, j) => f(i, j))))
const A = () => grid(40, (i, j) => Math.sin(1.3 * i + 0.7 * i * j + j))
const B = () => grid(40, (i, j) => Math.cos(0.9 * i * j + 2.1 * i) * (1 + 0.2 * j) + 0.3)

// NumPy 2.4, SciPy 1.17: |m − n|² + tr(C + D − 2 linalg.sqrtm(C @ D)) of np.cov(rowvar=False)
it('fid(a, b) is what SciPy computes, either way round', () => {
  close(fid(A(), B()), 1.7659514893, 1e-5)
  close(fid(B(), A()), 1.7659514893, 1e-5)
})

it('fid(a, b) with fewer points than dimensions is what SciPy computes', () =>
  close(fid(A(), A().slice([0, 0], [5, 6])), 1.2448083939, 1e-5))

it('fid(a, a) is 0, also for many dimensions and few points', () => {
  seed(1)
  const x = randn([20, 64])
  close(fid(x, x), 0, 1e-5)
})

it('fid of a shifted cloud is the square of the shift', () => close(fid(A(), A().add(2)), 6 * 4, 1e-4))

it('fid takes clouds that were computed before', () => close(fid(cloud(A()), cloud(B())), fid(A(), B()), 1e-12))

it('fid and kid refuse features of other lengths, a single one, and NaN', () => {
  assert.throws(() => fid(A(), tf.ones([9, 5])), /differ in length, got 6 and 5/)
  assert.throws(() => fid(A(), tf.ones([1, 6])), /2 or more, got \[1,6\]/)
  assert.throws(() => fid(A(), tf.ones([6])), /wanted features \[n, d\]/)
  assert.throws(() => fid(A(), A().mul(NaN)), /not finite/)
  assert.throws(() => kid(A(), A().mul(NaN)), { message: 'kid: the features are not finite (NaN or ∞)' })
  assert.throws(() => kid(A(), tf.ones([9, 5])), /wanted features \[n, d\] and \[m, d\]/)
})

// NumPy: the unbiased estimate with k = (x · y / 6 + 1)³
it('kid(a, b) is what NumPy computes', () => close(kid(A(), B()), 0.6405044189, 1e-5))

it('sqrtm(m) times itself is m, and is what SciPy computes', () => {
  const r = sqrtm([[4, 2, 0], [2, 3, 1], [0, 1, 2]])
  const want = [[1.9143169, 0.57588184, -0.06124484], [0.57588184, 1.59575356, 0.34918576], [-0.06124484, 0.34918576, 1.36905748]]
  r.forEach((row, i) => row.forEach((x, j) => close(x, want[i][j], 1e-8)))
})

it('eigen of a large matrix with a known spectrum finds it', () => {
  const n = 40, m = Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => Math.min(i, j) + 1))
  // the inverse of this matrix is the second difference, so its eigenvalues are known
  const want = Array.from({ length: n }, (_, k) => 1 / (4 * Math.sin((2 * k + 1) * Math.PI / (4 * n + 2)) ** 2))
  const found = eigen(m).values.sort((a, b) => b - a)
  found.forEach((x, k) => close(x, want[k], 1e-9 * want[0]))
})

it('featuresOf gives the same in one portion and in many, and leaves nothing behind', async () => {
  const model = loadClassifier(), x = (await mnistTensors())[2].slice([0, 0], [30, 784]).reshape([30, 28, 28, 1])
  const before = tf.memory().numTensors, all = featuresOf(model, x), parts = featuresOf(model, x, 7)
  all.sub(parts).abs().max().dataSync().forEach(d => close(d, 0, 1e-4))
  assert.deepEqual(all.shape, [30, 128])
  tf.dispose([all, parts])
  assert.ok(tf.memory().numTensors - before <= 3)
})
