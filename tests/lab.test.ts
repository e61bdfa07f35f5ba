// The course as its readers meet it: the lab that `npm start` opens, in a real Chromium.
import { strict as assert } from 'node:assert'
import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, type Page, chromium } from 'playwright-core'

const repo = join(__dirname, '..')
const browserPath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(path => existsSync(path))
const possible = browserPath && existsSync(join(repo, '.venv/share/jupyter/kernels/miniai'))
const shots = join(repo, '.cache/screenshots')
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
const required = (process.env.MINIAI_REQUIRE ?? '').split(' ').includes('lab')
const test = possible || required ? it : it.skip

let root: string, lab: ChildProcess, browser: Browser, page: Page, address: URL

/** A copy of the project beside the installed packages, so that the lab saves into the copy. */
function copyProject(): string {
  const copy = mkdtempSync(join(tmpdir(), 'miniai-lab-'))
  for (const name of ['nbs', 'miniai', 'scripts', 'package.json', 'tsconfig.json', 'settings.ini']) cpSync(join(repo, name), join(copy, name), { recursive: true })
  for (const name of ['node_modules', '.venv']) symlinkSync(join(repo, name), join(copy, name))
  return copy
}

/** Starts the lab and waits for the address that it prints. */
function startLab(): Promise<URL> {
  const home = join(root, '.jupyter')
  const env = { ...process.env, JUPYTER_CONFIG_DIR: home, JUPYTER_DATA_DIR: home, JUPYTER_RUNTIME_DIR: home, JUPYTERLAB_SETTINGS_DIR: join(home, 'settings') }
  lab = spawn(process.execPath, [join(root, 'scripts/lab.mjs'), '--no-browser', '--port', '0', '--expose-app-in-browser'], { env })
  return new Promise((resolve, reject) => {
    let text = ''
    const take = (data: Buffer) => {
      text += data
      const found = text.match(/http:\/\/127\.0\.0\.1:\d+\/\S+token=\w+/)
      if (found) resolve(new URL(found[0]))
    }
    lab.stdout!.on('data', take)
    lab.stderr!.on('data', take)
    lab.on('exit', code => reject(new Error(`the lab ended with ${code}: ${text}`)))
  })
}

/** Lab settings that a test needs: all cells in the page, also those out of sight. */
function writeSettings(): void {
  const dir = join(root, '.jupyter/settings/@jupyterlab/notebook-extension')
  mkdirSync(dir, { recursive: true })
  writeFileSync(join(dir, 'tracker.jupyterlab-settings'), '{ "windowingMode": "none" }')
}

async function openNotebook(name: string): Promise<void> {
  await page.goto(`${address.origin}/lab/tree/nbs/${name}?token=${address.searchParams.get('token')}&reset`)
  await page.waitForSelector('.jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell', { timeout: 60000 })
  await page.evaluate(async () => {
    const { context } = (window as any).jupyterapp.shell.currentWidget
    await context.ready
    await context.sessionContext.ready
    await context.sessionContext.session.kernel.info
  })
}

const command = (name: string, args = {}) => page.evaluate(([id, o]) => (window as any).jupyterapp.commands.execute(id, o), [name, args] as const)

async function menu(...labels: string[]): Promise<void> {
  await page.click(`.lm-MenuBar-itemLabel:text-is("${labels[0]}")`)
  for (const label of labels.slice(1)) await page.click(`.lm-Menu-itemLabel:text-is("${label}")`)
}

/** Waits until no cell waits or runs. */
async function idle(timeout = 120000): Promise<void> {
  await page.waitForFunction(() => ![...document.querySelectorAll('.jp-InputArea-prompt')].some(o => o.textContent!.includes('*')) &&
    document.querySelector('.jp-Notebook-ExecutionIndicator')?.getAttribute('data-status') === 'idle', undefined, { timeout })
}

/** Puts a cell with `source` below the last one, selects it, and leaves the cursor at its end. */
async function addCell(source: string): Promise<void> {
  await page.evaluate(() => {
    const { content } = (window as any).jupyterapp.shell.currentWidget
    content.activeCellIndex = content.widgets.length - 1
  })
  await command('notebook:insert-cell-below')
  await command('notebook:enter-edit-mode')
  await page.keyboard.insertText(source)
}

const lastOutput = () => page.locator('.jp-CodeCell').last().locator('.jp-Cell-outputArea')
const shot = (name: string) => page.screenshot({ path: join(shots, `${name}.png`) })

before(async function () {
  if (!possible && !required) return
  assert.ok(possible, 'the browser tests need Chromium and an installed JupyterLab')
  this.timeout(120000)
  mkdirSync(shots, { recursive: true })
  root = copyProject()
  writeSettings()
  address = await startLab()
  browser = await chromium.launch({ executablePath: browserPath, args: flags })
  page = await browser.newPage({ viewport: { width: 1280, height: 1000 } })
})

after(async () => {
  await browser?.close()
  lab?.kill('SIGTERM')
  await new Promise(resolve => lab && lab.exitCode === null ? lab.on('exit', resolve) : resolve(0))
  if (root) rmSync(root, { recursive: true, force: true, maxRetries: 5 })
})

test('a notebook that is only opened is not modified, and its code is coloured', async function () {
  this.timeout(90000)
  await openNotebook('03_tensors.ipynb')
  await page.waitForTimeout(1000)
  assert.equal(await page.evaluate(() => (window as any).jupyterapp.shell.currentWidget.context.model.dirty), false)
  assert.ok(await page.locator('.jp-CodeCell .cm-line span').count() > 20)
})

test('the lab runs notebook 05 by the menu, with a bar that moves and a plot that is drawn', async function () {
  this.timeout(240000)
  await openNotebook('05_matmul.ipynb')
  await command('notebook:clear-all-cell-outputs')
  await page.evaluate(() => {
    const seen = (window as any).barsSeen = new Set<string>()
    new MutationObserver(() => document.querySelectorAll('.jp-OutputArea progress').forEach(bar => seen.add((bar as HTMLProgressElement).value.toString())))
      .observe(document.body, { childList: true, subtree: true, attributes: true })
  })
  await menu('Run', 'Run All Cells')
  await page.waitForFunction(() => [...document.querySelectorAll('.jp-InputArea-prompt')].some(o => o.textContent!.includes('*')))
  await idle(200000)
  const errors = await page.locator('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"], .jp-RenderedText[data-mime-type="application/vnd.jupyter.stderr"]').allTextContents()
  assert.deepEqual(errors, [])
  assert.ok(await page.evaluate(() => (window as any).barsSeen.size) >= 3, 'a progress bar was seen at three places or more')
  assert.ok(await page.locator('.js-plotly-plot .main-svg').count() > 0, 'a plotly chart is drawn')
  await page.locator('.js-plotly-plot').last().scrollIntoViewIfNeeded()
  await shot('05-plot')
})

test('a saved notebook still has its plot after a reload, and a picture for pages without scripts', async function () {
  this.timeout(90000)
  await command('docmanager:save')
  const saved = JSON.parse(readFileSync(join(root, 'nbs/05_matmul.ipynb'), 'utf8'))
  const plots = saved.cells.flatMap((cell: any) => cell.outputs ?? []).filter((output: any) => output.data?.['application/vnd.plotly.v1+json'])
  assert.ok(plots.length > 0)
  for (const { data } of plots) assert.ok(data['image/svg+xml'] || data['image/png'], 'each plot has a static picture')
  await openNotebook('05_matmul.ipynb')
  await page.waitForSelector('.js-plotly-plot .main-svg, img.plot-img', { timeout: 30000 })
  await shot('05-reloaded')
})

test('Shift-Tab shows the documentation of a miniai function, and Tab completes its name', async function () {
  this.timeout(90000)
  await addCell(`import { chunks } from 'miniai/iterators'\nchunks`)
  await page.keyboard.press('Shift+Tab')
  const tip = page.locator('.jp-Tooltip')
  await tip.waitFor({ timeout: 30000 })
  assert.match((await tip.textContent())!, /chunks[^]*(pieces|Cut|Split)/i)
  await shot('shift-tab')
  await page.keyboard.press('Escape')
  await addCell(`import * as it from 'miniai/iterators'\nit.chun`)
  await page.keyboard.press('Tab')
  await page.waitForFunction(() => document.querySelector('.jp-Completer-item')?.textContent?.includes('chunks') ||
    (window as any).jupyterapp.shell.currentWidget.content.activeCell.model.sharedModel.source.endsWith('it.chunks'), undefined, { timeout: 30000 })
  await shot('tab')
})

test('a type error names its cell, line and place, and the next cell runs', async function () {
  this.timeout(90000)
  await page.keyboard.press('Escape')
  await addCell(`const n: number = 1\nconst wrong: number = 'two'`)
  await command('notebook:run-cell')
  await idle()
  assert.match((await lastOutput().textContent())!, /2:7|line 2/)
  assert.match((await lastOutput().textContent())!, /not assignable to type 'number'/)
  await shot('type-error')
  await addCell(`[1, 2, 3].map(x => x * 2)`)
  await command('notebook:run-cell')
  await idle()
  assert.match((await lastOutput().textContent())!, /\[ 2, 4, 6 \]/)
})

test('an export is seen by the next cell of the running notebook', async function () {
  this.timeout(90000)
  const run = async (source: string) => {
    await addCell(source)
    await command('notebook:run-cell')
    await idle()
    return (await lastOutput().textContent())!
  }
  await run(`import { islice } from 'miniai/iterators'`)
  const path = join(root, 'nbs/02_iterators.ipynb')
  const notebook = JSON.parse(readFileSync(path, 'utf8'))
  notebook.cells.push({ ...notebook.cells.find((cell: any) => cell.cell_type === 'code'), id: 'fresh001', outputs: [],
    source: ['//| export\n', '/** What the export test added. */\n', 'const freshlyExported = 6 * 7'] })
  writeFileSync(path, JSON.stringify(notebook))
  const { status, stderr } = await new Promise<{ status: number | null, stderr: string }>(resolve => {
    const child = spawn('npm', ['run', '-s', 'export'], { cwd: root })
    let stderr = ''
    child.stderr.on('data', data => stderr += data)
    child.on('exit', status => resolve({ status, stderr }))
  })
  assert.equal(status, 0, stderr)
  assert.match(await run(`import { freshlyExported } from 'miniai/iterators'\nfreshlyExported`), /42/)
  await shot('live-export')
})
