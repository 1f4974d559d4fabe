/* notify.h - tells a service manager how it goes: sd_notify(3), which is one datagram. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

void notify_ready(void); /* with MAINPID, also after a reload */
void notify_reloading(void);
void notify_stopping(void);
