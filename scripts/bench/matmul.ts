// Matrix products against Python: three plain loops, and the ladder's last rung beside torch's `@`.
import { tf, useBackend } from 'miniai/engine'
import { matmul } from 'miniai/matmul'
import { randn, seed } from 'miniai/random'
import { alternate, seconds, startPeer } from '../peer'
import { row, type Row } from './row'

const python3 = `
import torch
torch.set_num_threads(2)
a, b = torch.rand(5, 784), torch.randn(784, 10)
x = torch.rand(50000, 784)
la, lb = a.tolist(), b.tolist()
def lists(a, b):
  n, m, p = len(a), len(b), len(b[0])
  c = [[0.] * p for _ in range(n)]
  for i in range(n):
    for j in range(p):
      for k in range(m): c[i][j] += a[i][k] * b[k][j]
  return c
def tensors(a, b):
  (n, m), (_, p) = a.shape, b.shape
  c = torch.zeros(n, p)
  for i in range(n):
    for j in range(p):
      for k in range(m): c[i, j] += a[i, k] * b[k, j]
  return c
`

// notebook 05's three loops over typed arrays
function loops(a: Float32Array, b: Float32Array, [n, m, p]: number[]): Float32Array {
  const c = new Float32Array(n * p)
  for (let i = 0; i < n; i++)
    for (let j = 0; j < p; j++) {
      let s = 0
      for (let k = 0; k < m; k++) s += a[i * m + k] * b[k * p + j]
      c[i * p + j] = s
    }
  return c
}

export async function run(python: string): Promise<Row[]> {
  await useBackend()
  const peer = await startPeer(python, python3)
  seed(42)
  const [a, b, x] = [randn([5, 784]), randn([784, 10]), tf.randomUniform([50000, 784])]
  const [fa, fb] = [a.dataSync() as Float32Array, b.dataSync() as Float32Array]
  const plain = () => seconds(() => loops(fa, fb, [5, 784, 10]), 200)
  const tensors = await alternate(plain, () => peer.time('tensors(a, b)'), 9)
  const lists = await alternate(plain, () => peer.time('lists(la, lb)', 9))
  const product = () => seconds(() => tf.dispose(matmul(x, b)), 5)
  const torch = await alternate(product, () => peer.time('x @ b', 5), 21)
  peer.close()
  const onLists = 'three loops, 5×784 @ 784×10 / Python, over lists'
  return [
    row('three loops, 5×784 @ 784×10 / Python, over tensors', tensors.ours, tensors.peer, 0.01),
    { ...row(onLists, lists.ours, lists.peer, Infinity), bar: 'none' },
    row('matmul, 50,000×784 @ 784×10 / torch @', torch.ours, torch.peer, 1.1),
  ]
}
