"use strict";
// Everything shown here comes from walls and file names, which strangers write: it only ever becomes text, never markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const PAGE = 60;
  const words = {
    en: {
      skip: "Skip to the adverts", notice: "Read by AI: a person has to check before anything is done.", language: "Language", search: "Search",
      kind: "Kind", shop: "Shop", outcome: "Link", cluster: "Cluster", confidence: "Confidence at least", sort: "Order", reset: "Reset", adverts: "Adverts",
      more: "Show more", map: "Map", noMap: "No photo has a position.", fit: "All", failures: "Photos that failed", file: "File", reason: "Reason",
      mapHelp: "Each dot is one physical advert, larger the more photos show it; north is up. Arrow keys move, + and − zoom, Enter on a dot filters.",
      provenance: "Models and settings", close: "Close", all: "All", noShop: "no listed shop", none: "No identifier", noCrop: "No picture here: the report shows the surest ones",
      bySure: "Surest first", byFile: "By file", byCluster: "By cluster", shown: (a, b) => `${a} of ${b} adverts`, inPhotos: (n) => `${n} photos`,
      summary: (d) => `${d.photos} photos, ${d.adverts.length} adverts, ${d.clusters} clusters, ${d.failures.length} failed`,
      same: "known", misread: "perhaps misread", sibling: "new one of the shop", new: "new", details: "Details", taken: "Taken", alternatives: "May also be", dot: "Advert",
    },
    ru: {
      skip: "К объявлениям", notice: "Прочитано ИИ: до любых действий должен проверить человек.", language: "Язык", search: "Поиск",
      kind: "Вид", shop: "Магазин", outcome: "Связь", cluster: "Кластер", confidence: "Уверенность не ниже", sort: "Порядок", reset: "Сбросить", adverts: "Объявления",
      more: "Показать ещё", map: "Карта", noMap: "Ни у одного фото нет координат.", fit: "Все", failures: "Фото с ошибками", file: "Файл", reason: "Причина",
      mapHelp: "Точка — одна надпись на стене, чем больше фото, тем она крупнее; север сверху. Стрелки двигают, + и − меняют масштаб, Enter на точке отбирает.",
      provenance: "Модели и настройки", close: "Закрыть", all: "Все", noShop: "магазин не известен", none: "Нет контактов", noCrop: "Без картинки: в отчёте только самые уверенные",
      bySure: "Сначала уверенные", byFile: "По файлам", byCluster: "По кластерам", shown: (a, b) => `Объявлений: ${a} из ${b}`, inPhotos: (n) => `фото: ${n}`,
      summary: (d) => `Фото: ${d.photos}, объявлений: ${d.adverts.length}, кластеров: ${d.clusters}, ошибок: ${d.failures.length}`,
      same: "известен", misread: "возможно, прочитан с ошибкой", sibling: "новый у того же магазина", new: "новый", details: "Подробно", taken: "Снято", alternatives: "Возможно также", dot: "Объявление",
    },
    kk: {
      skip: "Хабарландыруларға өту", notice: "ЖИ оқыған: кез келген әрекеттен бұрын адам тексеруі керек.", language: "Тіл", search: "Іздеу",
      kind: "Түрі", shop: "Дүкен", outcome: "Байланыс", cluster: "Кластер", confidence: "Сенімділік кемінде", sort: "Реті", reset: "Тазарту", adverts: "Хабарландырулар",
      more: "Тағы көрсету", map: "Карта", noMap: "Бірде-бір фотода координата жоқ.", fit: "Барлығы", failures: "Қатесі бар фотолар", file: "Файл", reason: "Себебі",
      mapHelp: "Әр нүкте — қабырғадағы бір жазу, фотосы көп болса, үлкенірек; солтүстік жоғарыда. Көрсеткі пернелер жылжытады, + және − масштабты өзгертеді, нүктеде Enter сүзеді.",
      provenance: "Модельдер мен баптаулар", close: "Жабу", all: "Барлығы", noShop: "дүкені белгісіз", none: "Байланыс деректері жоқ", noCrop: "Суреті жоқ: есепте ең сенімділері ғана",
      bySure: "Алдымен сенімдісі", byFile: "Файл бойынша", byCluster: "Кластер бойынша", shown: (a, b) => `Хабарландырулар: ${b} ішінен ${a}`, inPhotos: (n) => `фото: ${n}`,
      summary: (d) => `Фото: ${d.photos}, хабарландыру: ${d.adverts.length}, кластер: ${d.clusters}, қате: ${d.failures.length}`,
      same: "белгілі", misread: "қате оқылған болуы мүмкін", sibling: "сол дүкеннің жаңасы", new: "жаңа", details: "Толығырақ", taken: "Түсірілген", alternatives: "Мүмкін", dot: "Хабарландыру",
    },
  };
  let language = ["ru", "kk"].find((code) => (navigator.language || "").startsWith(code)) || "en";
  let limit = PAGE;
  const $ = (id) => document.getElementById(id);
  const t = () => words[language];

  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined) node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  };

  // --- filters ---
  const fold = (text) => text.normalize("NFKC").toLocaleLowerCase();
  for (const advert of data.adverts) {
    advert.hay = fold([advert.text, advert.file, advert.shop, advert.shopName, advert.cluster, ...advert.ids.flatMap((i) => [i.value, i.raw])].join("\n"));
  }
  const clusterSize = new Map();
  for (const advert of data.adverts) clusterSize.set(advert.cluster, (clusterSize.get(advert.cluster) || 0) + 1);

  const options = (id, entries) => {
    const select = $(id), kept = select.value;
    select.replaceChildren(...entries.map(([value, label]) => make("option", { value }, label)));
    if (entries.some(([value]) => value === kept)) select.value = kept;
  };
  const fillOptions = () => {
    const all = ["", t().all];
    const kinds = [...new Set(data.adverts.flatMap((a) => a.ids.map((i) => i.kind)))].sort();
    const shops = new Map(data.adverts.filter((a) => a.shop).map((a) => [a.shop, a.shopName ? `${a.shopName} (${a.shop})` : a.shop]));
    const clusters = [...clusterSize].filter(([, n]) => n > 1).sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
    options("kind", [all, ...kinds.map((k) => [k, k]), ["-", t().none]]);
    options("shop", [all, ...[...shops].sort((a, b) => a[1].localeCompare(b[1])), ["-", t().noShop]]);
    options("outcome", [all, ...["same", "misread", "sibling", "new"].map((o) => [o, t()[o]])]);
    const chosen = $("cluster").value;
    if (chosen && !clusters.some(([c]) => c === chosen)) clusters.unshift([chosen, clusterSize.get(chosen) || 0]);
    options("cluster", [all, ...clusters.slice(0, 500).map(([c, n]) => [c, `${c} (${n})`])]);
    options("sort", [["sure", t().bySure], ["file", t().byFile], ["cluster", t().byCluster]]);
  };
  const chosen = () => {
    const search = fold($("search").value.trim()), kind = $("kind").value, shop = $("shop").value;
    const outcome = $("outcome").value, cluster = $("cluster").value, least = Number($("least").value);
    const found = data.adverts.filter((a) =>
      (!search || search.split(/\s+/).every((word) => a.hay.includes(word))) &&
      (!kind || (kind === "-" ? !a.ids.length : a.ids.some((i) => i.kind === kind))) &&
      (!shop || (shop === "-" ? !a.shop : a.shop === shop)) &&
      (!outcome || a.ids.some((i) => i.outcome === outcome)) &&
      (!cluster || a.cluster === cluster) && a.sure >= least);
    const byFile = (a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.index - b.index);
    const order = { sure: (a, b) => b.sure - a.sure || byFile(a, b), file: byFile, cluster: (a, b) => (a.cluster < b.cluster ? -1 : a.cluster > b.cluster ? 1 : byFile(a, b)) };
    return found.sort(order[$("sort").value] || order.sure);
  };
  const pickCluster = (cluster) => {
    if (![...$("cluster").options].some((o) => o.value === cluster)) $("cluster").append(make("option", { value: cluster }, cluster));
    $("cluster").value = cluster;
    limit = PAGE;
    show();
    $("gallery").focus();
  };

  // --- gallery ---
  const identifier = (i) => make("li", {},
    make("span", { class: "badge" }, i.kind), make("span", { class: "value" }, i.value), " ",
    make("span", { class: `badge ${i.outcome}` }, t()[i.outcome] + (i.shop ? `: ${i.shopName || i.shop}` : "")),
    make("span", { class: "small" }, i.sure.toFixed(2)), ...i.flags.map((f) => make("span", { class: "badge" }, f)));
  const card = (a) => make("li", { class: "card" },
    make("button", { type: "button", class: "picture", "aria-label": `${t().details}: ${a.file}`, onclick: () => detail(a) },
      a.crop ? make("img", { src: a.crop, alt: a.text, loading: "lazy" }) : make("span", { class: "none" }, t().noCrop)),
    make("div", { class: "body" },
      make("p", { class: "text", dir: "auto" }, a.text || "—"),
      make("ul", { class: "ids" }, ...a.ids.map(identifier)),
      make("div", { class: "facts" },
        make("meter", { min: 0, max: 1, low: 0.5, high: 0.8, optimum: 1, value: a.sure, "aria-label": t().confidence }), make("span", {}, a.sure.toFixed(2)),
        make("span", {}, a.shop ? a.shopName || a.shop : t().noShop),
        make("button", { type: "button", onclick: () => pickCluster(a.cluster) }, `${a.cluster} · ${clusterSize.get(a.cluster)}`)),
      make("div", { class: "file" }, a.file)));
  const detail = (a) => {
    $("detail-title").textContent = a.file;
    const facts = [[t().cluster, a.cluster], ["shop cluster", a.shopCluster], [t().shop, a.shop ? `${a.shopName} (${a.shop})` : t().noShop], [t().taken, a.taken],
      ["lat, lon", a.lat === null ? null : `${a.lat.toFixed(5)}, ${a.lon.toFixed(5)}`], [t().reason, a.reasons.join("; ")]];
    $("detail-body").replaceChildren(
      ...(a.crop ? [make("img", { src: a.crop, alt: a.text })] : []), make("p", { class: "text", dir: "auto" }, a.text || "—"),
      make("ul", { class: "ids" }, ...a.ids.map((i) => {
        const item = identifier(i);
        if (i.reasons.length) item.append(make("div", { class: "small" }, i.reasons.join("; ")));
        if (i.others.length) item.append(make("div", { class: "small" }, `${t().alternatives}: ${i.others.join(", ")}`));
        return item;
      })),
      make("table", {}, make("tbody", {}, ...facts.filter(([, v]) => v).map(([k, v]) => make("tr", {}, make("th", { scope: "row" }, k), make("td", {}, v))))));
    $("detail").showModal();
  };
  const show = () => {
    const found = chosen();
    $("gallery").replaceChildren(...found.slice(0, limit).map(card));
    $("more").hidden = found.length <= limit;
    $("count").textContent = t().shown(found.length, data.adverts.length);
    $("least-shown").textContent = Number($("least").value).toFixed(2);
    paint(new Set(found.map((a) => a.cluster)));
  };

  // --- map: metres east and north of the middle, drawn without tiles ---
  const SVG = "http://www.w3.org/2000/svg";
  const svg = $("map");
  const draw = (tag, attributes, text) => {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text) node.textContent = text;
    return node;
  };
  const placed = data.adverts.filter((a) => a.lat !== null);
  const mean = (values) => values.reduce((sum, v) => sum + v, 0) / Math.max(1, values.length);
  const middle = [mean(placed.map((a) => a.lat)), mean(placed.map((a) => a.lon))];
  const METRES = 111195, shrink = Math.cos((middle[0] * Math.PI) / 180);
  const spots = new Map();
  for (const a of placed) {
    const spot = spots.get(a.cluster) || { cluster: a.cluster, shop: a.shopCluster, label: a.ids.map((i) => i.value).join(", ") || a.text, all: [] };
    spot.all.push([(a.lon - middle[1]) * METRES * shrink, (a.lat - middle[0]) * METRES]);
    spots.set(a.cluster, spot);
  }
  const points = [...spots.values()].map((s) => ({ ...s, x: mean(s.all.map((p) => p[0])), y: mean(s.all.map((p) => p[1])), n: s.all.length }));
  points.sort((a, b) => b.n - a.n || (a.cluster < b.cluster ? -1 : 1));
  const hue = (text) => { let h = 0; for (const c of text) h = (h * 31 + c.codePointAt(0)) % 360; return h; };
  const view = { x: 0, y: 0, metres: 1000 };
  let lit = new Set();
  const size = () => [svg.clientWidth || 400, svg.clientHeight || 384];
  const fit = () => {
    const [w, h] = size();
    const xs = points.map((p) => p.x), ys = points.map((p) => p.y);
    const span = (v) => Math.max(...v) - Math.min(...v);
    view.x = (Math.max(...xs) + Math.min(...xs)) / 2;
    view.y = (Math.max(...ys) + Math.min(...ys)) / 2;
    view.metres = 1.2 * Math.max(100, span(xs), (span(ys) * w) / h);
  };
  const nice = (value) => { const power = 10 ** Math.floor(Math.log10(value)); return [5, 2, 1].map((f) => f * power).find((v) => v <= value) || power; };
  const paint = (now) => {
    if (now) lit = now;
    if (!points.length) return;
    const [w, h] = size(), scale = w / view.metres, focus = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.cluster : null;
    const bar = nice(view.metres / 4), nodes = [];
    svg.setAttribute("viewBox", `0 0 ${w} ${h}`);
    for (let x = Math.ceil((view.x - w / 2 / scale) / bar) * bar; x < view.x + w / 2 / scale; x += bar) nodes.push(draw("line", { class: "grid", x1: w / 2 + (x - view.x) * scale, x2: w / 2 + (x - view.x) * scale, y1: 0, y2: h }));
    for (let y = Math.ceil((view.y - h / 2 / scale) / bar) * bar; y < view.y + h / 2 / scale; y += bar) nodes.push(draw("line", { class: "grid", x1: 0, x2: w, y1: h / 2 - (y - view.y) * scale, y2: h / 2 - (y - view.y) * scale }));
    for (const p of points) {
      const x = w / 2 + (p.x - view.x) * scale, y = h / 2 - (p.y - view.y) * scale;
      if (x < -20 || y < -20 || x > w + 20 || y > h + 20) continue;
      const on = lit.has(p.cluster);
      const dot = draw("circle", { cx: x, cy: y, r: 4 + 2 * Math.sqrt(p.n), fill: `hsl(${hue(p.shop)} 70% 45%)`, class: on ? "" : "off", role: "button", "data-cluster": p.cluster, "aria-label": `${t().dot} ${p.label}, ${t().inPhotos(p.n)}` });
      if (on && points.length <= 300) dot.setAttribute("tabindex", "0");
      dot.append(draw("title", {}, `${p.label} · ${t().inPhotos(p.n)}`));
      nodes.push(dot);
    }
    const label = bar >= 1000 ? `${bar / 1000} km` : `${bar} m`;
    nodes.push(draw("line", { class: "scale", x1: 14, x2: 14 + bar * scale, y1: h - 14, y2: h - 14 }), draw("text", { x: 14, y: h - 20 }, label));
    svg.replaceChildren(...nodes);
    if (focus) [...svg.querySelectorAll("circle")].find((c) => c.dataset.cluster === focus)?.focus();
  };
  const zoom = (factor) => { view.metres = Math.min(4e7, Math.max(20, view.metres * factor)); paint(); };
  const move = (dx, dy) => { const scale = view.metres / size()[0]; view.x += dx * scale; view.y += dy * scale; paint(); };
  if (points.length) {
    let from = null, moved = false;
    svg.addEventListener("wheel", (e) => { e.preventDefault(); zoom(e.deltaY > 0 ? 1.2 : 1 / 1.2); }, { passive: false });
    svg.addEventListener("pointerdown", (e) => { from = [e.clientX, e.clientY]; moved = false; });
    svg.addEventListener("pointermove", (e) => {
      if (!from || !e.buttons) return;
      if (Math.hypot(e.clientX - from[0], e.clientY - from[1]) < 3 && !moved) return;
      moved = true; move(from[0] - e.clientX, e.clientY - from[1]); from = [e.clientX, e.clientY];
    });
    svg.addEventListener("pointerup", (e) => { from = null; const c = e.target.dataset && e.target.dataset.cluster; if (!moved && c) pickCluster(c); });
    svg.addEventListener("keydown", (e) => {
      const step = { ArrowLeft: [-40, 0], ArrowRight: [40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[e.key];
      if (step) { e.preventDefault(); move(...step); }
      else if (e.key === "+" || e.key === "=") zoom(1 / 1.4);
      else if (e.key === "-") zoom(1.4);
      else if ((e.key === "Enter" || e.key === " ") && e.target.dataset.cluster) { e.preventDefault(); pickCluster(e.target.dataset.cluster); }
    });
    $("zoom-in").addEventListener("click", () => zoom(1 / 1.4));
    $("zoom-out").addEventListener("click", () => zoom(1.4));
    $("zoom-fit").addEventListener("click", () => { fit(); paint(); });
    window.addEventListener("resize", () => paint());
    fit();
  } else {
    $("map-box").hidden = true; $("map-help").hidden = true; $("no-map").hidden = false;
  }

  // --- the rest ---
  const translate = () => {
    document.documentElement.lang = language;
    $("language").value = language;
    for (const node of document.querySelectorAll("[data-t]")) node.textContent = t()[node.dataset.t];
    $("summary").textContent = t().summary(data);
    fillOptions();
    show();
  };
  $("failures").hidden = !data.failures.length;
  $("failure-rows").replaceChildren(...data.failures.map((f) => make("tr", {}, make("td", {}, f.file), make("td", {}, `${f.code}: ${f.message}`))));
  $("provenance").textContent = JSON.stringify(data.provenance, null, 1);
  $("filters").addEventListener("input", () => { limit = PAGE; show(); });
  $("filters").addEventListener("reset", () => setTimeout(() => { limit = PAGE; show(); }));
  $("filters").addEventListener("submit", (e) => e.preventDefault());
  $("more").addEventListener("click", () => { const first = limit; limit += PAGE; show(); $("gallery").children[first]?.querySelector("button").focus(); });
  $("language").addEventListener("change", () => { language = $("language").value; translate(); });
  translate();
})();
