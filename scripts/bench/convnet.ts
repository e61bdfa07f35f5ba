// An epoch of notebook 10's ResNet, compiled by its Learner, beside the same model, loader and
// changes of the pictures in PyTorch; and what three seeds of the whole recipe reach.
import { availableParallelism } from 'node:os'
import { digitLearner, loadDigits, resnet, tta } from 'miniai/convnet'
import { tf, useBackend } from 'miniai/engine'
import { Callback } from 'miniai/learner'
import { seed } from 'miniai/random'
import { accuracy, Dataset } from 'miniai/training'
import { startPeer, type Peer } from '../peer'
import { median, row, time, type Row } from './row'

const items = 12800, rounds = 5
const theirs = `
import math, torch
from torch import nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset
torch.set_num_threads(${availableParallelism()})
def conv(ni, nf, ks=3, stride=1): return nn.Conv2d(ni, nf, ks, stride, ks // 2, bias=False)
class Block(nn.Module):
  def __init__(self, ni, nf, stride):
    super().__init__()
    self.conv1, self.norm1 = conv(ni, nf, 3, stride), nn.BatchNorm2d(nf)
    self.conv2, self.norm2 = conv(nf, nf), nn.BatchNorm2d(nf)
    self.skip = nn.Identity() if ni == nf else conv(ni, nf, 1)
    half = nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)
    self.pool = half if stride == 2 else nn.Identity()
  def forward(self, x):
    h = F.relu(self.norm1(self.conv1(x)))
    return F.relu(self.norm2(self.conv2(h)) + self.skip(self.pool(x)))
class Mean(nn.Module):
  def forward(self, x): return x.mean((2, 3))
model = nn.Sequential(conv(1, 16, 5, 2), nn.BatchNorm2d(16), nn.ReLU(), Block(16, 16, 1),
  Block(16, 64, 2), Block(64, 128, 2), Mean(), nn.Linear(128, 10))
assert sum(p.numel() for p in model.parameters()) == PARAMS
ds = TensorDataset(torch.rand(${items}, 1, 28, 28), torch.randint(0, 10, (${items},)))
dl = DataLoader(ds, 128, shuffle=True, drop_last=True)
steps = ${rounds + 1} * len(dl)
opt = torch.optim.AdamW(model.parameters(), 5e-3, weight_decay=0.05)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, 5e-3, steps + 1)
def some(n, most): return (2 * torch.rand(n) - 1) * most
def jitter(x):
  n = len(x)
  a, s = some(n, math.radians(10)), torch.exp(some(n, 0.1))
  c, d, tx, ty = a.cos() / s, a.sin() / s, some(n, 2 / 14), some(n, 2 / 14)
  m = torch.stack([torch.stack([c, d, tx], 1), torch.stack([-d, c, ty], 1)], 1)
  return F.grid_sample(x, F.affine_grid(m, x.shape, align_corners=False), align_corners=False)
def epoch():
  model.train()
  for xb, yb in dl:
    loss = F.cross_entropy(model(jitter(xb)), yb, label_smoothing=0.1)
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    loss.item()
`

/** After each epoch the peer has one too. */
class InTurnCB extends Callback {
  ours: number[] = []
  peer: number[] = []
  private start = 0
  constructor(private other: Peer) { super() }
  beforeEpoch(): void { this.start = performance.now() }
  async afterEpoch(): Promise<void> {
    this.ours.push((performance.now() - this.start) / 1000)
    this.peer.push(await this.other.time('epoch()'))
  }
}

async function epochs(python: string, train: Dataset): Promise<Row> {
  const model = resnet(), count = Object.values(model.params()).reduce((n, v) => n + v.size, 0)
  const peer = await startPeer(python, theirs.replace('PARAMS', `${count}`))
  const turns = new InTurnCB(peer)
  const some = train.batch([...Array(items).keys()])
  const learn = digitLearner(model, new Dataset(...some), { cbs: [turns] })
  await learn.fit(rounds + 1, { valid: false })
  peer.close()
  model.dispose()
  const [ours, others] = [turns.ours, turns.peer].map(o => o.slice(1)) // the first one compiles
  return row(`ResNet of notebook 10, epoch of ${items} / torch`, ours, others, 1)
}

/** The whole recipe from seed `a`: accuracy on the test set with `tta`, seconds of training. */
async function whole(a: number, train: Dataset, test: Dataset): Promise<[number, number]> {
  seed(a)
  const model = resnet(), start = performance.now()
  await digitLearner(model, train).fit(5, { valid: false })
  const took = (performance.now() - start) / 1000
  const [x, y] = test.batch([...Array(test.length).keys()])
  const right = tf.tidy(() => accuracy(tta(model, x), y).dataSync()[0])
  tf.dispose([x, y])
  model.dispose()
  return [right, took]
}

export async function run(python: string): Promise<Row[]> {
  await useBackend()
  const { train, test } = await loadDigits(), ratio = await epochs(python, train)
  const all: [number, number][] = []
  for (const a of [1, 2, 3]) all.push(await whole(a, train, test))
  const [right, took] = [0, 1].map(k => median(all.map(o => o[k])))
  return [
    ratio,
    { work: 'its accuracy on the test set, median of three seeds', ours: right.toFixed(4),
      peer: '', ratio: right, bar: '≥ 0.994', ok: right >= 0.994 },
    { work: 'minutes of its five epochs of 60,000', ours: time(took),
      peer: '', ratio: took / 60, bar: '≤ 5', ok: took <= 300 },
  ]
}
