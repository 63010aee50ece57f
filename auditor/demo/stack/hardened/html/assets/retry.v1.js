"use strict";

// The page of a backend that is away: try again every 30 seconds, or at once when asked.
let left = 30;
document.getElementById("retry").addEventListener("click", () => location.reload());
setInterval(() => {
  left -= 1;
  document.getElementById("seconds").value = left;
  if (left <= 0) {
    location.reload();
  }
}, 1000);
