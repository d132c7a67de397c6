"use strict";
// What stands behind the # of an address never reaches a server: the form's address carries it to where the person came for.
document.querySelector("form").action += location.hash;
