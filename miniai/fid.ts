// Do not edit: made by "npm run export" from ../nbs/15_fid.ipynb (d183e1464a7e)
// A number for how good made pictures are: what it measures, how the root of a matrix is found, what it hides, and a table of all samplers.

import { Classifier } from './convnet'
import { tf } from './engine'
import { jit } from './jit'

// %% ../nbs/15_fid.ipynb 5d197e62
/** The mean [d] and covariance [d][d] of n points. */
export interface Cloud { mean: number[], cov: number[][], n: number }

/** Mean and covariance of the rows of x [n, d], n ≥ 2, with 64 bits. */
export function cloud(x: tf.Tensor): Cloud {
  const [n, d] = x.shape
  const ok = x.rank === 2 && n > 1, got = `got [${x.shape}]`
  if (!ok) throw new RangeError(`fid: wanted features [n, d] of 2 or more, ${got}`)
  const xs = Float64Array.from(x.dataSync()), mean = new Array<number>(d).fill(0)
  xs.forEach((o, i) => { mean[i % d] += o / n })
  const isFinite = mean.every(Number.isFinite)
  if (!isFinite) throw new RangeError('fid: the features are not finite (NaN or ∞)')
  const cov = mean.map(() => new Array<number>(d).fill(0))
  for (let k = 0; k < n; k++) for (let i = 0; i < d; i++) {
    const a = (xs[k * d + i] - mean[i]) / (n - 1), row = cov[i]
    for (let j = i; j < d; j++) row[j] += a * (xs[k * d + j] - mean[j])
  }
  cov.forEach((row, i) => row.forEach((_, j) => { if (j < i) row[j] = cov[j][i] }))
  return { mean, cov, n }
}

// %% ../nbs/15_fid.ipynb f26faceb
/** Turn axes p and q of A and of the vectors V so that A[p][q] becomes 0. */
function turn(A: Float64Array[], V: Float64Array[], p: number, q: number): void {
  const cot = (A[q][q] - A[p][p]) / (2 * A[p][q])
  const t = Math.sign(cot || 1) / (Math.abs(cot) + Math.sqrt(cot * cot + 1))
  const c = 1 / Math.sqrt(t * t + 1), s = t * c
  for (const M of [A, V]) {
    const a = M[p], b = M[q]
    for (let k = 0; k < a.length; k++) {
      const x = a[k], y = b[k]
      a[k] = c * x - s * y
      b[k] = s * x + c * y
    }
  }
  for (const row of A) {
    const x = row[p], y = row[q]
    row[p] = c * x - s * y
    row[q] = s * x + c * y
  }
}

// %% ../nbs/15_fid.ipynb 38efb2b4
/** Eigenvalues and the eigenvectors, as rows, of a symmetric matrix (Jacobi, 1846). */
export function eigen(matrix: number[][]): { values: number[], vectors: Float64Array[] } {
  const n = matrix.length, A = matrix.map(row => Float64Array.from(row))
  const V = A.map((_, i) => Float64Array.from(A, (_, j) => Number(i === j)))
  const total = Math.sqrt(A.reduce((s, row) => row.reduce((s, x) => s + x * x, s), 0))
  for (let sweep = 0; sweep < 50; sweep++) {
    let turned = 0
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) {
      if (Math.abs(A[p][q]) <= 1e-15 * total) continue
      turn(A, V, p, q)
      turned++
    }
    if (!turned) break
  }
  return { values: A.map((row, i) => row[i]), vectors: V }
}

// %% ../nbs/15_fid.ipynb e9a2931e
const times = (A: ArrayLike<number>[], B: ArrayLike<number>[]): number[][] =>
  A.map(row => Array.from(B[0], (_, j) => {
    let s = 0
    for (let k = 0; k < row.length; k++) s += row[k] * B[k][j]
    return s
  }))

// %% ../nbs/15_fid.ipynb d6cc158e
/** The symmetric R with R R = matrix, for a symmetric one without negative eigenvalues. */
export function sqrtm(matrix: number[][]): number[][] {
  const { values, vectors } = eigen(matrix)
  const roots = vectors.map((v, k) => v.map(x => x * Math.sqrt(Math.sqrt(Math.max(0, values[k])))))
  return times(roots[0] ? Array.from(roots[0], (_, i) => roots.map(v => v[i])) : [], roots)
}

// %% ../nbs/15_fid.ipynb d8f1c251
/** Fréchet's distance of the normal clouds of two sets of features, [n, d] each, or `cloud`s. */
export function fid(a: tf.Tensor | Cloud, b: tf.Tensor | Cloud): number {
  const [p, q] = [a, b].map(o => o instanceof tf.Tensor ? cloud(o) : o)
  const [d, e] = [p.mean.length, q.mean.length]
  if (d !== e) throw new RangeError(`fid: the features differ in length, got ${d} and ${e}`)
  const root = sqrtm(p.cov), both = times(times(root, q.cov), root)
  const symmetric = both.map((row, i) => row.map((x, j) => (x + both[j][i]) / 2))
  const shared = eigen(symmetric).values.reduce((s, v) => s + Math.sqrt(Math.max(0, v)), 0)
  const away = p.mean.reduce((s, m, i) => s + (m - q.mean[i]) ** 2, 0)
  return away + p.cov.reduce((s, row, i) => s + row[i] + q.cov[i][i], 0) - 2 * shared
}

// %% ../nbs/15_fid.ipynb ffb2632e
/** The sum of k(x, y) over all pairs, and over those of one number with itself. */
function likeness(x: tf.Tensor, y: tf.Tensor): { all: number, own: number } {
  const k = tf.tidy(() => x.matMul(y, false, true).div(x.shape[1]!).add(1).pow(3)), n = y.shape[0]
  const values = k.dataSync() as Float32Array
  k.dispose()
  const own = values.reduce((s, v, i) => i % (n + 1) === 0 ? s + v : s, 0)
  return { all: values.reduce((s, v) => s + v, 0), own }
}

// %% ../nbs/15_fid.ipynb 36e0944e
/** Kernel distance of two sets of features, [n, d] and [m, d]; about 0 for two of a kind. */
export function kid(a: tf.Tensor, b: tf.Tensor): number {
  const [n, d] = a.shape, [m, e] = b.shape, got = `got [${a.shape}] and [${b.shape}]`
  const ok = a.rank === 2 && b.rank === 2 && d === e && Math.min(n, m) > 1
  if (!ok) throw new RangeError(`kid: wanted features [n, d] and [m, d], ${got}`)
  const x = likeness(a, a), y = likeness(b, b), xy = likeness(a, b)
  const isFinite = Number.isFinite(x.all + y.all)
  if (!isFinite) throw new RangeError('kid: the features are not finite (NaN or ∞)')
  return (x.all - x.own) / (n * (n - 1)) + (y.all - y.own) / (m * (m - 1)) - 2 * xy.all / (n * m)
}

// %% ../nbs/15_fid.ipynb d87d68b4
/** What a classifier sees in pictures [n, 28, 28, 1], 0 … 1: features [n, d]. */
export function featuresOf(model: Classifier, pictures: tf.Tensor, bs = 250): tf.Tensor2D {
  model.train(false)
  const see = jit((x: tf.Tensor) => model.features(x)), [n, ...size] = pictures.shape
  const part = (from: number) => tf.tidy(() =>
    see(tf.slice(pictures, [from, 0, 0, 0], [Math.min(bs, n - from), ...size])))
  const parts = Array.from({ length: Math.ceil(n / bs) }, (_, i) => part(bs * i))
  const all = tf.concat(parts) as tf.Tensor2D
  tf.dispose(parts)
  see.dispose()
  return all
}
