// Training steps compiled by `jit`, beside the same model in eager PyTorch on as many threads: the
// small U-Net of unetStep.ts with the group norm of miniai/fused, and an MLP 784-50-10.
import { availableParallelism } from 'node:os'
import { tf, useBackend } from 'miniai/engine'
import { groupNorm } from 'miniai/fused'
import { jit } from 'miniai/jit'
import { alternate, seconds, startPeer } from '../peer'
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

function unetStep() {
  parts.norm = groupNorm
  const model = unet(), optimizer = tf.train.adam(1e-3), shape = [128, 28, 28, 1]
  const [x, noise] = [7, 8].map(seed => tf.randomNormal(shape, 0, 1, 'float32', seed))
  const t = tf.randomUniform([128], 0, 1000, 'float32', 9)
  const step = (x: tf.Tensor, t: tf.Tensor, noise: tf.Tensor) => optimizer.minimize(() =>
    tf.mean(tf.squaredDifference(model(x, t), noise)) as tf.Scalar, true, params)!
  return { step, args: [x, t, noise] as const }
}

function mlpStep() {
  const start = (s: number[], i: number) =>
    s[1] ? tf.randomNormal(s, 0, s[0] ** -0.5, 'float32', i + 1) : tf.zeros(s)
  const ws = [[784, 50], [50], [50, 10], [10]].map((s, i) => tf.variable(start(s, i)))
  const optimizer = tf.train.momentum(0.1, 0.9), x = tf.randomUniform([50, 784], 0, 1, 'float32', 5)
  const y = tf.oneHot(tf.tensor1d([...Array(50).keys()].map(i => i % 10), 'int32'), 10)
  const step = (x: tf.Tensor, y: tf.Tensor) => optimizer.minimize(() => {
    const h = tf.relu(tf.add(tf.matMul(x, ws[0]), ws[1]))
    const logits = tf.logSoftmax(tf.add(tf.matMul(h, ws[2]), ws[3]))
    return tf.neg(tf.mean(tf.sum(tf.mul(logits, y), 1))) as tf.Scalar
  }, true, ws)!
  return { step, args: [x, y] as const }
}

function finish(loss: tf.Tensor): void {
  loss.dataSync()
  loss.dispose()
}

/** Both rows; a step has been recorded and compiled before its time is taken. */
export async function run(python: string): Promise<Row[]> {
  await useBackend('tensorflow')
  const peer = await startPeer(python, python3), u = unetStep(), m = mlpStep()
  const unetJit = jit(u.step, { xla: true }), mlpJit = jit(m.step, { xla: true })
  for (let i = 0; i < 3; i++) {
    finish(unetJit(...u.args))
    finish(mlpJit(...m.args))
  }
  const a = await alternate(() => seconds(() => finish(unetJit(...u.args))),
    () => peer.time('unet_step()'), 9)
  const b = await alternate(() => seconds(() => finish(mlpJit(...m.args)), 501),
    () => peer.time('mlp_step()', 501), 9)
  peer.close()
  return [row('U-Net step, batch 128: jit / PyTorch eager', a.ours, a.peer, 0.9),
    row('MLP step, batch 50: jit / PyTorch eager', b.ours, b.peer, 0.5)]
}
