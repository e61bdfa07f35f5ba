// A fit that stores itself after each batch, to be killed: `resume.ts CHECKPOINT BACKEND` goes on
// where the last one was and writes a line of JSON, all that came of it. Its model draws random
// numbers at each step, and its data when a batch is made.
import { tf, useBackend } from 'miniai/engine'
import { CheckpointCB, Learner, MetricsCB, oneCycle, RecorderCB, SchedCB } from 'miniai/learner'
import { getState, rand, randn, seed } from 'miniai/random'
import {
  accuracy, Adam, DataLoader, DataLoaders, Linear, Module, Sequential, Source,
} from 'miniai/training'

class Noise extends Module {
  forward(x: tf.Tensor): tf.Tensor {
    return this.training ? tf.add(x, tf.mul(randn(x.shape), 0.1)) : x
  }
}

async function main(path: string, backend: string) {
  await useBackend(backend)
  seed(1)
  const xs = randn([96, 8]), ys = xs.sum(1).greater(0).toInt().arraySync() as number[]
  const row = (i: number) => xs.slice(i, 1).reshape([8])
  const noisy = (i: number) => tf.tidy(() => row(i).add(rand()))
  const train: Source = { length: 64, at: i => [noisy(i), tf.scalar(ys[i], 'int32')] }
  const valid: Source = { length: 32, at: i => [row(64 + i), tf.scalar(ys[64 + i], 'int32')] }
  const trainDl = new DataLoader(train, { bs: 6, shuffle: true, prefetch: 2 })
  const dls = new DataLoaders(trainDl, new DataLoader(valid, { bs: 16 }))
  const model = new Sequential(new Linear(8, 16), new Noise(), new Linear(16, 2))
  const metrics = new MetricsCB(accuracy), recorder = new RecorderCB()
  const cbs = [metrics, recorder, new SchedCB(oneCycle()), new CheckpointCB(path, { seconds: 0 })]
  const learn = new Learner(model, dls, { opt: Adam, lr: 0.02, cbs })
  console.error('begins')
  await learn.fit(4)
  const variables = Object.values({ ...model.state(), ...learn.opt.state })
  const weights = variables.map(v => [...v.dataSync()])
  const { losses, lrs } = recorder, { lines } = metrics
  console.log(JSON.stringify({ weights, losses, lrs, lines, rand: getState() }))
}

main(process.argv[2], process.argv[3])
