"use strict";
{% if count %}
for (const link of document.querySelectorAll("[data-needs-you]")) {
  link.insertAdjacentHTML("beforeend", ' <span class="count is-new" title="{{ count|count_of("thing needs", "things need") }} you">{{ count }}<span class="visually-hidden"> need you</span></span>');
}
{% endif %}
