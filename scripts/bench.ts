// Prints the project's speed bars as a table, each measured beside its peer in the same run: `npm run bench [-- name …]`.
// Peers (PyTorch, nbdev) live in a throw-away environment in the system's temporary folder, never in the project.
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { Row } from './bench/row'

const peers = ['torch==2.15.0', 'nbdev==2.3.35', 'fastcore==1.7.29', 'execnb==0.1.16', 'setuptools']
const env = join(tmpdir(), 'miniai-bench')
const python = join(env, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python')

/** Makes the peers' environment once; a half-made one is made again. */
function preparePeers(): void {
  const stamp = join(env, 'peers.txt')
  if (existsSync(stamp)) return
  console.log(`Installing the peers into ${env} (${peers.join(', ')}); this takes some minutes and 6 GB.`)
  execFileSync('python3', ['-m', 'venv', '--clear', env], { stdio: 'inherit' })
  execFileSync(python, ['-m', 'pip', 'install', '-q', ...peers], { stdio: 'inherit' })
  writeFileSync(stamp, peers.join('\n'))
}

function table(rows: Row[]): string {
  const cells = [['work', 'ours', 'peer', 'ratio', 'bar', ''], ...rows.map(row =>
    [row.work, row.ours, row.peer, row.ratio.toFixed(2), row.bar, row.ok ? 'met' : 'MISSED'])]
  const width = cells[0].map((_, i) => Math.max(...cells.map(line => line[i].length)))
  return cells.map(line => line.map((cell, i) => cell.padEnd(width[i])).join('  ').trimEnd()).join('\n')
}

const bench = (name: string): { run(python: string): Promise<Row[]> } => require(`./bench/${name}`)

async function main(wanted: string[]): Promise<void> {
  const names = readdirSync(join(__dirname, 'bench')).map(file => basename(file, '.ts')).filter(name => 'run' in bench(name))
  const unknown = wanted.find(name => !names.includes(name))
  if (unknown) throw new Error(`bench: no bench is called "${unknown}"; there are ${names.join(', ')}`)
  preparePeers()
  const rows: Row[] = []
  for (const name of wanted.length ? wanted : names) rows.push(...await bench(name).run(python))
  console.log(table(rows))
}

main(process.argv.slice(2)).catch(error => {
  console.error(error.message)
  process.exitCode = 1
})
