-- SPDX-License-Identifier: Apache-2.0
-- wrk asks for another URL each time: no cache has any of them.
local asked = 0
local run = os.time() * 1000 + math.random(0, 999)

function request()
    asked = asked + 1
    return wrk.format("GET", "/slow/" .. run .. "/" .. asked)
end
