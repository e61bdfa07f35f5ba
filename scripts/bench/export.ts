// A full export against `nbdev_export` on the 36 notebooks of fastai/course22p2, whole commands, start included.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { row, type Row } from './row'

const root = join(__dirname, '../..')

/** The peer's course: MINIAI_COURSE22P2 if that is set, or a clone in the temporary folder. */
function course(): string {
  const dir = process.env.MINIAI_COURSE22P2 ?? join(tmpdir(), 'miniai-course22p2')
  if (existsSync(join(dir, 'nbs'))) return dir
  execFileSync('git', ['clone', '-q', '--depth', '1', 'https://github.com/fastai/course22p2', dir], { stdio: 'inherit' })
  return dir
}

/** Seconds that a command takes, from start to end. */
function seconds(command: string, args: string[], cwd: string): number {
  const start = performance.now()
  const { status, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`bench export: ${command} ended with ${status}: ${stderr.trim().split('\n').at(-1)}`)
  return (performance.now() - start) / 1000
}

export async function run(python: string): Promise<Row[]> {
  const peerDir = course(), peerCommand = join(dirname(python), 'nbdev_export')
  const ours = ['-r', './scripts/load.cjs', 'scripts/export.ts']
  const exportAll = (...flags: string[]) => seconds(process.execPath, [...ours, ...flags], root)
  const forget = () => rmSync(join(root, '.cache/export.json'), { force: true })
  const typed: number[] = [], plain: number[] = [], again: number[] = [], peer: number[] = []
  for (let i = 0; i < 7; i++) {
    peer.push(seconds(peerCommand, [], peerDir))
    forget()
    typed.push(exportAll())
    forget()
    plain.push(exportAll('--no-types'))
    again.push(exportAll('--no-types'))
  }
  return [row('full export, types checked / nbdev_export', typed, peer, 3),
    row('full export without types / nbdev_export', plain, peer, 1),
    row('the same, unchanged notebooks kept / nbdev_export', again, peer, 1)]
}
