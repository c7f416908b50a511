// Times in the reader's zone. The words follow jupyterhub_collab_services/base/words.py and are renewed every minute.
"use strict";
(() => {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "long", timeStyle: "short" });
  const day = (date) => Math.round(new Date(date.getFullYear(), date.getMonth(), date.getDate(), 12) / 864e5);
  const count = (number, one) => `${number} ${one}${number === 1 ? "" : "s"}`;

  function amount(seconds, days) {
    if (seconds < 3600) return count(Math.max(1, Math.round(seconds / 60)), "minute");
    if (days < 1 || seconds < 6 * 3600) return count(Math.max(1, Math.round(seconds / 3600)), "hour");
    if (days < 21) return count(days, "day");
    if (days < 60) return count(Math.round(days / 7), "week");
    if (days < 365) return count(Math.max(2, Math.round(days / 30.4)), "month");
    return count(Math.round(days / 365), "year");
  }

  function words(date, now) {
    const seconds = (now - date) / 1000;
    if (seconds < 0) return `in ${amount(-seconds, Math.floor(-seconds / 86400))}`;
    const days = day(now) - day(date);
    if (seconds < 60) return "just now";
    if (days === 1 && seconds >= 6 * 3600) return "yesterday";
    return `${amount(seconds, days)} ago`;
  }

  function renew(root) {
    const now = new Date();
    for (const time of root.querySelectorAll("time[datetime]")) {
      const date = new Date(time.dateTime);
      const said = words(date, now);
      if (time.textContent !== said) time.textContent = said;
      time.title = format.format(date);
    }
  }

  renew(document);
  document.addEventListener("htmx:afterSettle", (event) => renew(event.target.parentElement ?? document));
  setInterval(() => renew(document), 60000);
})();
