"use strict";
// What htmx does not do: ask for the parts that have changed, draw the charts, read the heat maps, send a form only once, and say how the
// server is reached.

(() => {
  const charts = new Map(); // plot element -> {chart, series}
  const asked = new WeakMap(); // element of a chart or part -> the revision that was asked for
  const HEIGHT = 215;
  const DAY = 86400; // seconds, as all times of the charts
  const DAYS = [1, 7, 14, 28, 56, 112, 364]; // between two dates of the axis: whole weeks, as the points are

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const utc = (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC");
  const short = (seconds) => new Date(seconds * 1e3).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
  const day = (seconds) => new Date(seconds * 1e3).toISOString().slice(0, 10);
  const minute = (seconds) => new Date(seconds * 1e3).toISOString().slice(0, 16).replace("T", " ");

  // A dashed line where another version began to answer, named at its top unless the name before it stands in the way.
  function drawMarks(chart, marks) {
    const context = chart.ctx;
    const { left, top, width, height } = chart.bbox;
    const ratio = devicePixelRatio;
    let free = -Infinity;
    context.save();
    context.strokeStyle = colour("--quiet");
    context.fillStyle = colour("--quiet");
    context.font = `${11 * ratio}px system-ui, sans-serif`;
    context.textBaseline = "top";
    context.textAlign = "left";
    context.lineWidth = ratio;
    context.setLineDash([2 * ratio, 3 * ratio]);
    for (const mark of marks) {
      const x = Math.round(chart.valToPos(mark.at, "x", true));
      if (x < left || x > left + width) continue;
      context.beginPath();
      context.moveTo(x, top);
      context.lineTo(x, top + height);
      context.stroke();
      const name = `v${mark.version}`;
      const start = x + 3 * ratio;
      if (start > free) {
        context.fillText(name, start, top + ratio);
        free = start + context.measureText(name).width + 2 * ratio;
      }
    }
    context.restore();
  }

  function padded(chart, low, high) {
    if (low == null) return [0, 1];
    const pad = Math.max(0.02 * Math.max(Math.abs(low), Math.abs(high)), (high - low) * 0.12) || 0.02;
    return [low < 0 ? low - pad : Math.max(0, low - pad), high + pad];
  }

  // Whatever unit an outcome has: three places of a value or four digits, and as many places as the step between two ticks needs.
  const digits = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4 });
  const written = (value) => (0.1 <= Math.abs(value) && Math.abs(value) < 100 ? value.toFixed(3) : digits.format(value));
  const places = (step) => [0, 1, 2, 3, 4, 5, 6, 7, 8].find((n) => Math.abs(step * 10 ** n - Math.round(step * 10 ** n)) < 1e-6 * step * 10 ** n) ?? 9;
  const tickTexts = (chart, ticks, axis, space, step) => ticks.map((tick) => tick.toFixed(places(step)));
  const roomFor = (chart, ticks) => Math.max(48, 14 + 7 * Math.max(0, ...(ticks ?? []).map((tick) => tick.length)));

  // The lines of one chart: of weeks, or of windows with the band that the estimate promises.
  function linesOf(plot, series) {
    const metric = plot.dataset.metric;
    const number = (chart, value) => (value == null ? "–" : written(value));
    const live = { label: "live", stroke: colour("--tide"), width: 2.5, value: number };
    const frozen = { label: "frozen", stroke: colour("--frozen"), width: 1.75, dash: [5, 4], value: number };
    if (plot.dataset.kind !== "windows") {
      return { at: series.weeks, step: 7 * DAY, of: [live, frozen], values: [series.live[metric], series.frozen[metric]] };
    }
    const windows = series.windows;
    const [low, high, middle] = ["low", "high", "estimated"].map((name) => windows[name][metric]);
    const end = { width: 0, points: { show: false } };
    const promised = (chart, value, place, at) =>
      value == null ? "–" : `${written(value)} (${number(chart, low[at])} to ${number(chart, high[at])})`;
    return {
      at: windows.at,
      step: windows.step,
      of: [
        { ...end, label: "high" },
        { ...end, label: "low" },
        { label: "estimated", stroke: colour("--guess"), width: 1.5, value: promised },
        live,
        { ...frozen, width: 1.25 },
      ],
      values: [high, low, middle, windows.live[metric], windows.frozen[metric]],
      bands: [{ series: [1, 2], fill: colour("--band") }],
    };
  }

  function options(plot, series, lines) {
    const first = lines.at[0];
    const last = lines.at.at(-1);
    const axis = {
      stroke: colour("--quiet"),
      font: "12px system-ui, sans-serif",
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { show: false },
    };
    const points = { show: lines.at.length < 3, size: 6 };
    const moment = lines.step < DAY ? minute : day;
    return {
      width: plot.clientWidth,
      height: HEIGHT,
      tzDate: utc,
      cursor: { drag: { setScale: false, x: false, y: false }, points: { size: 7 }, y: false },
      scales: { x: { range: [first, Math.max(last, first + (lines.step < DAY ? lines.step : 7 * DAY))] }, y: { range: padded } },
      axes: [
        { ...axis, size: 30, space: 60, incrs: DAYS.map((days) => days * DAY), values: (chart, ticks) => ticks.map(short) },
        { ...axis, size: roomFor, values: tickTexts },
      ],
      series: [
        { label: lines.step === 7 * DAY ? "week from" : "from", value: (chart, value) => (value == null ? "–" : moment(value)) },
        ...lines.of.map((line) => ({ points, ...line })),
      ],
      ...(lines.bands && { bands: lines.bands }),
      hooks: {
        draw: [(chart) => drawMarks(chart, series.marks)],
        setCursor: [(chart) => chart.cursor.idx == null && chart.setLegend({ idx: lines.at.length - 1 }, false)],
      },
    };
  }

  function draw(plot) {
    const held = charts.get(plot);
    held.chart?.destroy();
    const { series } = held;
    const lines = linesOf(plot, series);
    held.chart = new uPlot(options(plot, series, lines), [lines.at, ...lines.values], plot);
    held.chart.setLegend({ idx: lines.at.length - 1 }, false); // with no pointer over it, the newest one
  }

  // What is drawn stands in a place of its size, with a line beside it: that it is being read, that this takes long, or why it could not be.
  // What was drawn before stays meanwhile. A failure is said until it is over: what is tried again and again is not told of each time.
  const told = (what, bare, why) => ({
    reading: bare ? `Reading ${what}…` : "",
    slow: bare ? `Still reading ${what}. This takes longer than usual…` : "Reading what is new…",
    failed: bare
      ? `Could not read ${what}: ${why}. It is tried again by itself; if this stays, tidemill doctor says what is wrong.`
      : "Not up to date; it is tried again.",
    there: "",
  });
  function stand(drawn, state, why) {
    const line = drawn.nextElementSibling;
    const isBusy = state === "reading" || state === "slow";
    if (isBusy) drawn.setAttribute("aria-busy", "true");
    else drawn.removeAttribute("aria-busy");
    if (isBusy && line.dataset.state === "failed") return;
    const words = told(line.dataset.what, drawn.querySelector(".waiting"), why)[state];
    line.dataset.state = state;
    if (line.textContent !== words) line.textContent = words;
  }

  const SLOW_MS = 4_000;
  const GIVE_UP_MS = 30_000;
  const AGAIN_MS = 5_000;
  let again = 0;
  function reason(error) {
    if (error.name === "AbortError") return `no answer within ${GIVE_UP_MS / 1e3} seconds`;
    return error instanceof TypeError ? "the server does not answer" : error.message;
  }

  // It is large and changes seldom: it is asked for when its revision says so.
  async function bring(drawn, address, show) {
    const { revision } = drawn.dataset;
    if (asked.get(drawn) === revision) return;
    asked.set(drawn, revision);
    const isWanted = () => drawn.isConnected && asked.get(drawn) === revision; // no newer one was asked for meanwhile
    stand(drawn, "reading");
    const stop = new AbortController();
    const timers = [setTimeout(() => isWanted() && stand(drawn, "slow"), SLOW_MS), setTimeout(() => stop.abort(), GIVE_UP_MS)];
    try {
      const response = await fetch(address, { signal: stop.signal });
      if (!response.ok) throw new Error(`the server answers with an error (${response.status})`);
      const text = await response.text();
      if (!isWanted()) return;
      show(drawn, text);
      stand(drawn, "there");
    } catch (error) {
      if (!isWanted()) return;
      asked.delete(drawn);
      stand(drawn, "failed", reason(error));
      clearTimeout(again);
      again = setTimeout(refreshAll, AGAIN_MS);
    } finally {
      timers.forEach((timer) => clearTimeout(timer));
    }
  }

  function showChart(plot, text) {
    charts.set(plot, { ...charts.get(plot), series: JSON.parse(text) });
    plot.querySelector(".waiting")?.remove();
    draw(plot);
  }

  // It keeps what a person has unfolded.
  function showPart(part, text) {
    const open = [...part.querySelectorAll("details[open]")].map((each) => each.id);
    const at = part.contains(document.activeElement) ? document.activeElement.closest("details")?.id : undefined;
    part.innerHTML = text;
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (at) document.getElementById(at)?.querySelector("summary").focus({ preventScroll: true });
  }

  function refreshAll() {
    for (const [plot, held] of charts) {
      if (!plot.isConnected) {
        held.chart?.destroy();
        charts.delete(plot);
      }
    }
    for (const plot of document.querySelectorAll(".plot")) bring(plot, plot.dataset.series, showChart);
    for (const part of document.querySelectorAll(".part")) bring(part, part.dataset.part, showPart);
  }

  const redraw = () => charts.forEach((held, plot) => held.series && plot.isConnected && draw(plot));

  function say(text) {
    const banner = document.getElementById("connection");
    if (banner.textContent !== text) banner.textContent = text;
  }

  // A form is sent once, however often a person presses while its act takes a moment.
  document.addEventListener("submit", (event) => {
    if (!event.target.closest(".act")) return;
    if (event.target.getAttribute("aria-busy") === "true") return event.preventDefault();
    event.target.setAttribute("aria-busy", "true");
    const button = event.target.querySelector("button");
    if (!button) return;
    button.dataset.label = button.textContent;
    button.textContent = "Working…";
  });
  addEventListener("pageshow", () => { // whoever goes back finds the page as it was left
    for (const form of document.querySelectorAll("form[aria-busy]")) {
      form.removeAttribute("aria-busy");
      const button = form.querySelector("button[data-label]");
      if (button) button.textContent = button.dataset.label;
    }
  });

  // What a person has chosen stays chosen when the page is brought up to date, whatever else there is to choose by then. A tick stands for
  // what its form said when it was set: where that has changed, as a version is gone or somebody else was before, it is asked for anew.
  const chosen = new Map(); // id of a select -> its value
  const ticked = new WeakMap(); // checkbox -> what its form said
  const saidBy = (box) => {
    const versions = [...box.form.elements].filter((each) => each.name === "version").map((each) => each.value);
    return [...versions, box.closest("label").textContent].join("\n");
  };
  const ticksOf = (root) => root.querySelectorAll("input[type=checkbox]");
  document.addEventListener("change", (event) => {
    const form = event.target.closest(".act form");
    if (!form) return;
    for (const select of form.querySelectorAll("select")) chosen.set(select.id, select.value);
    for (const box of ticksOf(form)) ticked.set(box, saidBy(box));
  });
  function keepChosen() {
    for (const [id, value] of chosen) {
      const select = document.getElementById(id);
      if (select && [...select.options].some((option) => option.value === value)) select.value = value;
    }
    for (const form of document.querySelectorAll(".act form")) {
      for (const box of ticksOf(form)) if (box.checked && ticked.get(box) !== saidBy(box)) box.checked = false;
    }
  }

  // The clipboard is open to pages by https and on this machine alone; elsewhere the text is selected, to be copied by hand.
  async function copy(button) {
    const text = document.getElementById(button.dataset.copies);
    const label = button.firstChild;
    try {
      await navigator.clipboard.writeText(text.textContent);
      label.data = "Copied";
    } catch {
      getSelection().selectAllChildren(text);
      label.data = "Selected";
    }
    setTimeout(() => (label.data = "Copy"), 2_000);
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copies]");
    if (button) copy(button);
  });

  let widthWas = document.documentElement.clientWidth;
  addEventListener("resize", () => {
    if (document.documentElement.clientWidth === widthWas) return; // a phone's toolbar coming and going
    widthWas = document.documentElement.clientWidth;
    redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  document.addEventListener("htmx:after:swap", () => {
    keepChosen();
    refreshAll();
  });

  // The server says by a stream of events which mark each part has now; one that shows another mark is asked for. While there is no stream
  // everything is asked for every half minute.
  const POLL_MS = 30_000;
  const SILENT_MS = 45_000; // a stream tells something every 15 s: a way that is gone without a word is found out so
  const stream = document.getElementById("stream");
  const GONE = "The server does not answer. What you see is the last known state.";
  let connection = null;
  let isLive = false;
  let marks = null;
  let heardAt = Date.now();

  // A browser has six connections to one address while it speaks HTTP/1.1 there, so of its pages in sight one holds the stream and tells the
  // others. It is the one that has the lock, which the browser passes on once that page is closed. Out of sight a page lets go of it, and from
  // one that says nothing any more it is taken. Where a browser has no locks, by http from another machine, each page has its own stream.
  const LEAD = "tidemill-stream";
  const others = new BroadcastChannel(LEAD);
  let leads = false;
  let heard = null; // what the stream said last
  let leave = () => {};

  function seek(isTaken) {
    leave();
    const end = new AbortController();
    leave = () => {
      leads = false;
      end.abort();
      connection?.reader?.cancel();
    };
    const lead = () => {
      if (end.signal.aborted) return;
      leads = true;
      htmx.trigger(stream, "again"); // which does nothing while it is being opened
      return new Promise((resolve) => end.signal.addEventListener("abort", resolve));
    };
    if (!navigator.locks) return lead();
    navigator.locks.request(LEAD, isTaken ? { steal: true } : { signal: end.signal }, lead).catch((error) => {
      if (error.name === "AbortError" && !end.signal.aborted) seek(); // another page has taken it
    });
  }
  function begin() {
    if (document.hidden) return leave();
    heardAt = Date.now();
    tell(false, "connecting");
    seek();
    others.postMessage({ kind: "who" });
  }
  document.addEventListener("visibilitychange", begin);

  function tell(live, word) {
    if (leads && !live) others.postMessage({ kind: "lost" });
    isLive = live;
    stream.className = live ? "ok" : word === "connecting" ? "busy" : "warn";
    stream.title = live ? "Changes are shown as they happen" : "Everything is read again every half minute meanwhile";
    const words = stream.querySelector("span");
    if (words.textContent !== word) words.textContent = word;
  }

  function askForStale() {
    const shown = [...document.querySelectorAll("[data-mark]")];
    if (!isLive || !marks || !shown.length) return htmx.trigger("#overview", "whole");
    for (const part of shown) if (part.dataset.mark !== marks[part.dataset.name]) htmx.trigger(part, "stale", {}, false);
  }

  const answered = (status) => {
    if (status === 401) return location.assign("/ui/login"); // the session is over
    say(status >= 400 ? `The server answers with an error (${status}). What you see is the last good state.` : "");
  };

  function hear(message) {
    heardAt = Date.now();
    heard = message;
    tell(true, "live");
    if (message.kind === "failing") return say(`The server cannot read its stores (${message.data}). What you see is the last good state.`);
    marks = JSON.parse(message.data);
    say("");
    askForStale();
    refreshAll(); // what failed while the server was away
  }
  for (const kind of ["marks", "failing"]) {
    stream.addEventListener(kind, (event) => {
      if (!leads) return connection.reader?.cancel(); // it came out of sight while it was being opened
      const message = { kind, data: event.detail.data };
      others.postMessage(message);
      hear(message);
    });
  }
  others.addEventListener("message", ({ data }) => {
    if (data.kind === "who") return leads && isLive && heard && others.postMessage(heard);
    if (leads || document.hidden) return;
    if (data.kind !== "lost") return hear(data);
    heardAt = Date.now();
    tell(false, "reconnecting");
  });
  stream.addEventListener("htmx:sse:before:connection", (event) => {
    if (!leads) event.detail.connection.cancelled = true;
    else if (event.detail.connection.attempt) tell(false, "reconnecting");
  });
  stream.addEventListener("htmx:sse:after:connection", (event) => {
    heardAt = Date.now();
    connection = event.detail.connection;
    tell(true, "live");
  });
  stream.addEventListener("htmx:sse:close", () => leads && tell(false, "reconnecting"));
  stream.addEventListener("htmx:sse:error", (event) => {
    if (!leads) return;
    tell(false, "reconnecting");
    event.detail.status ? answered(event.detail.status) : say(GONE);
  });
  setInterval(() => {
    const isSilent = Date.now() - heardAt > SILENT_MS;
    if (isSilent && !leads && !document.hidden) {
      tell(false, "reconnecting");
      seek(true);
    } else if (isSilent && isLive) connection?.reader?.cancel(); // and it is opened anew
    if (!isLive && leads) htmx.trigger(stream, "again");
    askForStale();
    refreshAll();
  }, POLL_MS);

  // A part that is read anew stays as it is meanwhile, and says so where that takes a moment.
  const isPart = (element) => element.matches?.("main, .live");
  document.addEventListener("htmx:before:request", (event) => isPart(event.target) && event.target.setAttribute("aria-busy", "true"));
  document.addEventListener("htmx:finally:request", (event) => isPart(event.target) && event.target.removeAttribute("aria-busy"));
  document.addEventListener("htmx:after:request", (event) => {
    const { status } = event.detail.ctx.response;
    if (event.target !== stream) return answered(status);
    if (status >= 400) tell(false, "reconnecting");
    if (status === 401) answered(status);
  });
  document.addEventListener("htmx:error", (event) => {
    if (!isLive || event.target === stream) tell(false, "reconnecting");
    say(GONE);
  });
  refreshAll();
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin); // once htmx has begun
  else begin();
})();
