// Maps of sightings: points, h3 cells by how many there are, and a time slider. Without tiles the ground stays plain.
"use strict";
(() => {
  const DAY_MS = 86400000;
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const escape = (text) => { const node = document.createElement("span"); node.textContent = text; return node; };

  // The outline of the country and the names of its cities: enough to know where one is, without any other server.
  const ground = async (map, address) => {
    try {
      const data = await (await fetch(address)).json();
      for (const ring of data.outline) L.polygon(ring, { weight: 1, color: colour("--strong-line"), fillColor: colour("--surface"), fillOpacity: 1, interactive: false }).addTo(map);
      for (const place of data.places) {
        L.circleMarker(place.at, { radius: 2, weight: 0, fillOpacity: 1, fillColor: colour("--soft"), interactive: false })
          .bindTooltip(place[document.documentElement.lang] || place.en, { permanent: true, direction: "right", offset: [4, 0], className: "place", interactive: false }).addTo(map);
      }
    } catch { /* The map is readable without it. */ }
  };

  const draw = async (box) => {
    const map = L.map(box, { zoomControl: false, attributionControl: Boolean(box.dataset.tiles), zoomSnap: 0.5 }).setView([48, 67], 4);
    box.desk = map;
    L.control.zoom({ zoomInTitle: box.dataset.zoomIn || "+", zoomOutTitle: box.dataset.zoomOut || "−" }).addTo(map);
    if (box.dataset.tiles) L.tileLayer(box.dataset.tiles, { attribution: box.dataset.tilesWords, maxZoom: 19 }).addTo(map);
    L.control.scale({ imperial: false }).addTo(map);
    await ground(map, box.dataset.ground);
    let data;
    try { data = await (await fetch(box.dataset.map)).json(); } catch { return; }
    const cells = L.layerGroup().addTo(map), dots = L.layerGroup().addTo(map);

    const show = (from, to) => {
      const counts = new Map(), level = levelOf(map.getZoom());
      cells.clearLayers();
      dots.clearLayers();
      let shown = 0;
      for (const point of data.points) {
        if (point.day < from || point.day > to) continue;
        shown += 1;
        const cell = point.cells[level];
        counts.set(cell, (counts.get(cell) || 0) + 1);
        const dot = L.circleMarker([point.lat, point.lon], {
          radius: 6, weight: 1.5, color: colour("--surface"), fillOpacity: 0.9,
          fillColor: colour(point.known ? "--accent" : "--warn"),
        });
        const text = document.createElement("div"), link = document.createElement("a");
        link.href = point.href;
        link.textContent = point.text;
        text.append(link, document.createElement("br"), escape(point.when));
        dot.bindPopup(text).addTo(dots);
      }
      if (box.dataset.cells) {
        const most = Math.max(1, ...counts.values());
        for (const [cell, count] of counts) {
          L.polygon(data.cells[cell], {
            weight: 1, color: colour("--warn"), fillColor: colour("--warn"), fillOpacity: 0.12 + 0.5 * (count / most), interactive: false,
          }).addTo(cells);
        }
      }
      return shown;
    };
    const days = data.points.map((point) => point.day);
    if (!days.length) return;
    map.fitBounds(L.latLngBounds(data.points.map((point) => [point.lat, point.lon])).pad(0.15), { maxZoom: 16, animate: false });
    const first = Math.min(...days), last = Math.max(...days);
    let range = [first, last];
    const showRange = (from, to) => { range = [from, to]; return show(from, to); };
    showRange(first, last);
    if (box.dataset.cells) slider(first, last, showRange);
    map.on("zoomend", () => show(...range));
  };

  // Cells of about 250 km², 5 km² and 0.1 km²: those that can be seen at this zoom.
  const levelOf = (zoom) => (zoom < 9 ? 0 : zoom < 12.5 ? 1 : 2);

  const slider = (first, last, show) => {
    const from = document.getElementById("from"), to = document.getElementById("to"), out = document.getElementById("shown");
    const play = document.getElementById("play");
    let timer = null;
    const day = (number) => new Date(number * DAY_MS).toLocaleDateString(document.documentElement.lang === "en" ? "en-GB" : "ru-RU", { timeZone: "UTC" });
    for (const input of [from, to]) { input.min = first; input.max = last; }
    from.value = first;
    to.value = last;
    const update = () => {
      if (Number(from.value) > Number(to.value)) to.value = from.value;
      const count = show(Number(from.value), Number(to.value));
      from.setAttribute("aria-valuetext", day(from.value));
      to.setAttribute("aria-valuetext", day(to.value));
      out.textContent = `${day(from.value)} – ${day(to.value)} · ${out.dataset.words} ${count}`;
    };
    from.addEventListener("input", update);
    to.addEventListener("input", update);
    play.addEventListener("click", () => {
      if (timer) { clearInterval(timer); timer = null; play.textContent = play.dataset.play; return; }
      play.textContent = play.dataset.stop;
      if (Number(to.value) >= last) to.value = from.value;
      timer = setInterval(() => {
        to.value = Math.min(last, Number(to.value) + Math.max(1, Math.round((last - first) / 60)));
        update();
        if (Number(to.value) >= last) { clearInterval(timer); timer = null; play.textContent = play.dataset.play; }
      }, 200);
    });
    update();
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-fly]");
    const box = document.querySelector(".map[data-cells]");
    if (button && box && box.desk) box.desk.setView(button.dataset.fly.split(",").map(Number), 15, { animate: false });
  });
  document.querySelectorAll("[data-map]").forEach(draw);
})();
