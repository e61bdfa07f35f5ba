// Our random numbers against PyTorch's, as tensors of 784 × 10.
import { tf, useBackend } from 'miniai/engine'
import { rand, randn, seed } from 'miniai/random'
import { alternate, seconds, startPeer } from '../peer'
import { row, type Row } from './row'

const shape = [784, 10]

export async function run(python: string): Promise<Row[]> {
  await useBackend()
  const peer = await startPeer(python, 'import torch; torch.set_num_threads(2)')
  const against = async (ours: () => tf.Tensor, theirs: string) => {
    const own = () => seconds(() => ours().dispose(), 300)
    const t = await alternate(own, () => peer.time(theirs, 300), 21)
    return [t.ours, t.peer] as const
  }
  seed(42)
  const uniform = await against(() => rand(shape), 'torch.rand(784, 10)')
  const normal = await against(() => randn(shape), 'torch.randn(784, 10)')
  peer.close()
  return [
    row('rand([784, 10]) / torch.rand', ...uniform, 1),
    { ...row('randn([784, 10]) / torch.randn', ...normal, Infinity), bar: 'none' },
  ]
}
