// Training steps compiled by `jit`, beside the same model in eager PyTorch on as many threads: the
// small U-Net of unetStep.ts with the group norm of miniai/fused, and an MLP 784-50-10. The bars
// are for PyTorch's own settings; beside them a PyTorch whose threads sleep while they wait (better
// on a machine that has other work), and TensorFlow's jit_compile, the limit for what XLA can do.
import { availableParallelism } from 'node:os'
import { tf, useBackend } from 'miniai/engine'
import { groupNorm } from 'miniai/fused'
import { jit } from 'miniai/jit'
import { alternate, seconds, startPeer, type Peer } from '../peer'
import { row, type Row } from './row'
import { params, parts, unet } from './unetStep'

const python3 = `
import math, torch
from torch import nn
import torch.nn.functional as F
torch.set_num_threads(${availableParallelism()})
class Block(nn.Module):
  def __init__(self, ni, nf, nt):
    super().__init__()
    self.norm1, self.conv1 = nn.GroupNorm(8, ni), nn.Conv2d(ni, nf, 3, padding=1)
    self.time = nn.Linear(nt, nf)
    self.norm2, self.conv2 = nn.GroupNorm(8, nf), nn.Conv2d(nf, nf, 3, padding=1)
    self.skip = nn.Identity() if ni == nf else nn.Conv2d(ni, nf, 1)
  def forward(self, x, t):
    h = self.conv1(F.silu(self.norm1(x))) + self.time(t)[:, :, None, None]
    return self.skip(x) + self.conv2(F.silu(self.norm2(h)))
class UNet(nn.Module):
  def __init__(self, c1=32, c2=64, c3=128, nt=32, sines=96):
    super().__init__()
    self.sines, self.first = sines, nn.Conv2d(1, c1, 3, padding=1)
    self.time = nn.ModuleList([nn.Linear(sines, nt), nn.Linear(nt, nt)])
    self.down = nn.ModuleList([Block(c1, c1, nt), Block(c1, c2, nt), Block(c2, c3, nt)])
    self.up = nn.ModuleList([Block(2 * c3, c2, nt), Block(2 * c2, c1, nt), Block(2 * c1, c1, nt)])
    self.norm, self.last = nn.GroupNorm(8, c1), nn.Conv2d(c1, 1, 3, padding=1)
  def forward(self, x, t):
    a = t[:, None] * torch.exp(torch.arange(self.sines // 2) * (-2 * math.log(10000) / self.sines))
    e = torch.cat([a.sin(), a.cos()], 1)
    for layer in self.time: e = F.silu(layer(e))
    h1 = self.down[0](self.first(x), e)
    h2 = self.down[1](F.avg_pool2d(h1, 2), e)
    h3 = self.down[2](F.avg_pool2d(h2, 2), e)
    u1 = F.interpolate(self.up[0](torch.cat([h3, h3], 1), e), scale_factor=2)
    u2 = F.interpolate(self.up[1](torch.cat([u1, h2], 1), e), scale_factor=2)
    return self.last(F.silu(self.norm(self.up[2](torch.cat([u2, h1], 1), e))))
def stepper(model, loss, optimizer):
  def step():
    l = loss(model)
    optimizer.zero_grad()
    l.backward()
    optimizer.step()
    return l.item()
  return step
net = UNet()
assert sum(p.numel() for p in net.parameters()) == 605057
x, noise, t = torch.randn(128, 1, 28, 28), torch.randn(128, 1, 28, 28), torch.rand(128) * 1000
adam = torch.optim.Adam(net.parameters(), 1e-3)
unet_step = stepper(net, lambda m: F.mse_loss(m(x, t), noise), adam)
mlp = nn.Sequential(nn.Linear(784, 50), nn.ReLU(), nn.Linear(50, 10))
a, b = torch.rand(50, 784), torch.arange(50) % 10
sgd = torch.optim.SGD(mlp.parameters(), 0.1, momentum=0.9)
mlp_step = stepper(mlp, lambda m: F.cross_entropy(m(a), b), sgd)
`

const tensorflow = `
import math, os
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '2'
import tensorflow as tf
params = []
def param(x): params.append(tf.Variable(x)); return params[-1]
def weight(shape, ni): return param(tf.random.normal(shape, 0, ni ** -0.5))
def linear(ni, nf):
  w, b = weight([ni, nf], ni), param(tf.zeros(nf))
  return lambda x: x @ w + b
def conv(ni, nf, ks=3):
  w, b = weight([ks, ks, ni, nf], ks * ks * ni), param(tf.zeros(nf))
  return lambda x: tf.nn.conv2d(x, w, 1, 'SAME') + b
def norm(nf):
  scale, shift = param(tf.ones(nf)), param(tf.zeros(nf))
  def call(x):
    n, h, w, c = x.shape
    y = tf.reshape(x, [n, h * w, 8, c // 8])
    mean, var = tf.nn.moments(y, [1, 3], keepdims=True)
    return tf.reshape((y - mean) * tf.math.rsqrt(var + 1e-5), x.shape) * scale + shift
  return call
def silu(x): return x * tf.sigmoid(x)
def block(ni, nf, nt):
  n1, c1, time, n2, c2 = norm(ni), conv(ni, nf), linear(nt, nf), norm(nf), conv(nf, nf)
  skip = (lambda x: x) if ni == nf else conv(ni, nf, 1)
  return lambda x, t: skip(x) + c2(silu(n2(c1(silu(n1(x))) + time(t)[:, None, None, :])))
def twice(x): return tf.repeat(tf.repeat(x, 2, 1), 2, 2)
def half(x): return tf.nn.avg_pool2d(x, 2, 2, 'SAME')
times, first = [linear(96, 32), linear(32, 32)], conv(1, 32)
d1, d2, d3 = block(32, 32, 32), block(32, 64, 32), block(64, 128, 32)
u1, u2, u3 = block(256, 64, 32), block(128, 32, 32), block(64, 32, 32)
norm_out, last = norm(32), conv(32, 1)
def model(x, t):
  a = t[:, None] * tf.exp(tf.range(48.) * (-2 * math.log(10000) / 96))
  e = tf.concat([tf.sin(a), tf.cos(a)], 1)
  for layer in times: e = silu(layer(e))
  h1 = d1(first(x), e)
  h2 = d2(half(h1), e)
  h3 = d3(half(h2), e)
  b1 = twice(u1(tf.concat([h3, h3], 3), e))
  b2 = twice(u2(tf.concat([b1, h2], 3), e))
  return last(silu(norm_out(u3(tf.concat([b2, h1], 3), e))))
assert sum(p.shape.num_elements() for p in params) == 605057
x, noise = tf.random.normal([128, 28, 28, 1]), tf.random.normal([128, 28, 28, 1])
t, k = tf.random.uniform([128]) * 1000, tf.Variable(0.)
ms, vs = [[tf.Variable(tf.zeros(p.shape)) for p in params] for _ in range(2)]
@tf.function(jit_compile=True)
def step():
  with tf.GradientTape() as tape: loss = tf.reduce_mean((model(x, t) - noise) ** 2)
  k.assign_add(1)
  for p, g, m, v in zip(params, tape.gradient(loss, params), ms, vs):
    m.assign(0.9 * m + 0.1 * g)
    v.assign(0.999 * v + 0.001 * g * g)
    p.assign_sub(1e-3 * m / (1 - 0.9 ** k) / (tf.sqrt(v / (1 - 0.999 ** k)) + 1e-8))
  return loss
def unet_step(): return float(step())
unet_step()
`

function unetStep() {
  parts.norm = groupNorm
  const model = unet(), optimizer = tf.train.adam(1e-3), shape = [128, 28, 28, 1]
  const [x, noise] = [7, 8].map(seed => tf.randomNormal(shape, 0, 1, 'float32', seed))
  const t = tf.randomUniform([128], 0, 1000, 'float32', 9)
  const step = (...[x, t, noise]: tf.Tensor[]) => optimizer.minimize(() =>
    tf.mean(tf.squaredDifference(model(x, t), noise)) as tf.Scalar, true, params)!
  return { step, args: [x, t, noise], xla: true } // what jit comes to by itself, in a minute
}

function mlpStep() {
  const start = (s: number[], i: number) =>
    s[1] ? tf.randomNormal(s, 0, s[0] ** -0.5, 'float32', i + 1) : tf.zeros(s)
  const ws = [[784, 50], [50], [50, 10], [10]].map((s, i) => tf.variable(start(s, i)))
  const optimizer = tf.train.momentum(0.1, 0.9), x = tf.randomUniform([50, 784], 0, 1, 'float32', 5)
  const y = tf.oneHot(tf.tensor1d([...Array(50).keys()].map(i => i % 10), 'int32'), 10)
  const step = (...[x, y]: tf.Tensor[]) => optimizer.minimize(() => {
    const h = tf.relu(tf.add(tf.matMul(x, ws[0]), ws[1]))
    const logits = tf.logSoftmax(tf.add(tf.matMul(h, ws[2]), ws[3]))
    return tf.neg(tf.mean(tf.sum(tf.mul(logits, y), 1))) as tf.Scalar
  }, true, ws)!
  return { step, args: [x, y] }
}

function finish(loss: tf.Tensor): void {
  loss.dataSync()
  loss.dispose()
}

type Step = (...args: tf.Tensor[]) => tf.Tensor

/** What is timed: a step in three forms, called `theirs` in the peers, `n` runs for one time. */
function work(name: string, theirs: string, n: number,
  o: { step: Step, args: tf.Tensor[], xla?: boolean }) {
  const [graph, chosen] = [false, o.xla].map(xla => jit(o.step, { xla }))
  const forms = { eager: o.step, graph, jit: chosen }
  for (const f of [graph, chosen, graph, chosen, graph, chosen]) finish(f(...o.args)) // compiles
  const run = (form: keyof typeof forms) => seconds(() => finish(forms[form](...o.args)), n)
  return { name, run, theirs: (peer: Peer) => peer.time(theirs, n) }
}

/** PyTorch whose threads wait as `policy` says: OpenMP reads it when it starts. */
async function torch(python: string, policy?: string) {
  if (policy) process.env.OMP_WAIT_POLICY = policy
  try { return await startPeer(python, python3) } finally { delete process.env.OMP_WAIT_POLICY }
}

/** The bars' rows and those beside them; a step has been compiled before its time is taken. */
export async function run(python: string): Promise<Row[]> {
  await useBackend('tensorflow')
  const works = [work('U-Net step, batch 128', 'unet_step()', 1, unetStep()),
    work('MLP step, batch 50', 'mlp_step()', 501, mlpStep())]
  const rows: Row[] = []
  const add = async (i: number, name: string, peer: () => Promise<number>, most = Infinity) => {
    const o = await alternate(() => works[i].run('jit'), peer, 9)
    const line = row(`${works[i].name}: jit / ${name}`, o.ours, o.peer, most)
    rows.push(most < Infinity ? line : { ...line, bar: 'none' })
  }
  const against = async (name: string, peer: Peer, bars = [Infinity, Infinity]) => {
    for (const [i, most] of bars.entries()) await add(i, name, () => works[i].theirs(peer), most)
    peer.close()
  }
  for (const form of ['eager', 'graph'] as const) {
    for (const [i, o] of works.entries()) await add(i, form, async () => o.run(form))
  }
  await against('PyTorch eager', await torch(python), [0.9, 0.5])
  await against('PyTorch eager, OMP_WAIT_POLICY=passive', await torch(python, 'passive'))
  await against('TensorFlow jit_compile', await startPeer(python, tensorflow), [Infinity])
  return rows
}
