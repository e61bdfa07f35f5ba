// The data loader and five epochs of the MLP, with loss and accuracy of each training and
// validation, against the same in PyTorch.
import { availableParallelism } from 'node:os'
import { tf, useBackend } from 'miniai/engine'
import { Learner, MetricsCB, oneCycle, SchedCB } from 'miniai/learner'
import { seed } from 'miniai/random'
import { accuracy, Adam, DataLoader, digitsDls, Linear, Relu, Sequential } from 'miniai/training'
import { startPeer } from '../peer'
import { row, type Row } from './row'

const theirs = `
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
torch.set_num_threads(${availableParallelism()})
x, y = torch.rand(60000, 784), torch.randint(0, 10, (60000,))
train, valid = TensorDataset(x[:50000], y[:50000]), TensorDataset(x[50000:], y[50000:])

def load():
  for xb, yb in DataLoader(train, 256, shuffle=True): pass

def fit():
  model = nn.Sequential(nn.Linear(784, 50), nn.ReLU(), nn.Linear(50, 10))
  opt = torch.optim.AdamW(model.parameters(), 5e-3, weight_decay=0.05)
  sched = torch.optim.lr_scheduler.OneCycleLR(opt, 5e-3, 5000)
  for epoch in range(5):
    for isTraining in True, False:
      model.train(isTraining)
      losses, right = 0, 0
      with torch.set_grad_enabled(isTraining):
        for xb, yb in DataLoader(train, 50, shuffle=True) if isTraining else DataLoader(valid, 100):
          preds = model(xb)
          loss = nn.functional.cross_entropy(preds, yb)
          if isTraining:
            loss.backward()
            opt.step()
            opt.zero_grad()
            sched.step()
          losses += loss.item() * len(xb)
          right += (preds.argmax(1) == yb).float().sum().item()
`

async function load(dl: DataLoader): Promise<void> {
  for await (const batch of dl) tf.dispose(batch)
}

async function seconds(f: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await f()
  return (performance.now() - start) / 1000
}

export async function run(python: string): Promise<Row[]> {
  await useBackend()
  const dls = await digitsDls({ n: 50000, nValid: 10000, bs: 50 })
  const peer = await startPeer(python, theirs)
  const against = async (ours: () => Promise<unknown>, name: string, rounds: number) => {
    const times: [number, number][] = []
    for (let i = 0; i <= rounds; i++) times.push([await seconds(ours), await peer.time(name)])
    const later = times.slice(rounds > 1 ? 1 : 0)
    return [later.map(t => t[0]), later.map(t => t[1])] as const
  }
  const dl = new DataLoader(dls.train.ds, { bs: 256, shuffle: true }), accs: number[] = []
  const loading = await against(() => load(dl), 'load()', 5)
  const fitting = await against(async () => {
    seed(accs.length)
    const model = new Sequential(new Linear(784, 50), new Relu(), new Linear(50, 10))
    const metrics = new MetricsCB(accuracy), cbs = [new SchedCB(oneCycle()), metrics]
    const learn = new Learner(model, dls, { opt: Adam, lr: 5e-3, wd: 0.05, cbs })
    await learn.fit(5)
    accs.push(metrics.lines.at(-1)!.accuracy as number)
    model.dispose()
  }, 'fit()', 3)
  peer.close()
  const acc = accs.sort((a, b) => a - b)[accs.length >> 1]
  return [
    row('DataLoader, 50,000 digits in shuffled 256s / torch', ...loading, 1),
    row('five epochs of the MLP, batch 50 / torch', ...fitting, 1),
    { work: 'its validation accuracy, median of four seeds', ours: acc.toFixed(4), peer: '',
      ratio: acc, bar: '≥ 0.975', ok: acc >= 0.975 }
  ]
}
