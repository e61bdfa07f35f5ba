/**
 * `npm run bench [-- name …]`: the project's speed bars as a table, each measured beside its peer
 * in the same run. The exit code is 1 if a bar is missed. Peers (PyTorch, diffusers, nbdev) live in a
 * throw-away environment in the system's temporary folder, never in the project.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { Row } from './bench/row'

const peers = [
  'torch==2.15.0', 'nbdev==2.3.35', 'fastcore==1.7.29', 'execnb==0.1.16', 'setuptools',
  'diffusers==0.42.1', 'transformers==5.23.0', 'tensorflow-cpu==2.21.0',
]
const env = join(tmpdir(), 'miniai-bench')
const python = join(env, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python')

/** Whether `stamp` was written by an installation of exactly these peers. */
export function isInstalled(stamp: string, pins = peers): boolean {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === pins.join('\n')
}

/** Makes the peers' environment once; a half-made or older one is made again. */
function preparePeers(): void {
  const stamp = join(env, 'peers.txt'), list = peers.join(', ')
  if (isInstalled(stamp)) return
  console.log(`Installing the peers into ${env} (${list}); this takes some minutes and 6 GB.`)
  execFileSync('python3', ['-m', 'venv', '--clear', env], { stdio: 'inherit' })
  execFileSync(python, ['-m', 'pip', 'install', '-q', ...peers], { stdio: 'inherit' })
  writeFileSync(stamp, peers.join('\n'))
}

/** Whether a row's bar holds; nothing where it has none and stands there to compare. */
const verdict = ({ bar, ok }: Row): string => bar === 'none' ? '' : ok ? 'met' : 'MISSED'

/** The rows as lines of text, columns under each other. */
export function table(rows: Row[]): string {
  const cells = [['work', 'ours', 'peer', 'ratio', 'bar', ''], ...rows.map(row =>
    [row.work, row.ours, row.peer, row.ratio.toFixed(2), row.bar, verdict(row)])]
  const widths = cells[0].map((_, i) => Math.max(...cells.map(line => line[i].length)))
  const text = (line: string[]) => line.map((cell, i) => cell.padEnd(widths[i])).join('  ')
  return cells.map(line => text(line).trimEnd()).join('\n')
}

/** What the command ends with: 1 if a bar is missed. */
export function exitCode(rows: Row[]): number { return rows.every(row => row.ok) ? 0 : 1 }

const bench = (name: string): { run(python: string): Promise<Row[]> } => require(`./bench/${name}`)

async function main(wanted: string[]): Promise<number> {
  const all = readdirSync(join(__dirname, 'bench')).map(file => basename(file, '.ts'))
  const names = all.filter(name => 'run' in bench(name))
  const unknown = wanted.find(name => !names.includes(name))
  const list = names.join(', ')
  if (unknown) throw new Error(`bench: no bench is called "${unknown}"; there are ${list}`)
  preparePeers()
  const rows: Row[] = []
  for (const name of wanted.length ? wanted : names) rows.push(...await bench(name).run(python))
  console.log(table(rows))
  return exitCode(rows)
}

if (require.main === module) {
  main(process.argv.slice(2)).catch(error => {
    console.error(error.message)
    return 1
  }).then(code => { process.exitCode = code })
}
