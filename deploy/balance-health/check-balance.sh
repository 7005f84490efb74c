#!/bin/sh
# Prints nothing and exits 0 while the balance sheet is valid; says so, heals what is safe to heal and exits 1 otherwise.
# cron:  0 */6 * * *  /opt/backoffice/deploy/balance-health/check-balance.sh || mail -s "Accounting alert" finance@example.com
#
# BACKOFFICE_URL         where Backoffice answers
# BACKOFFICE_TOKEN_FILE  a file that holds the line `Authorization: Bearer bo_…`, readable for this user alone
# BACKOFFICE_WAIT        seconds until it asks again while another one checks, up to five times
#
# It exits 2 where it cannot say: nobody answers, the token is wrong, another one has checked all the time.
address=${BACKOFFICE_URL:-http://127.0.0.1:8000}/admin/balance-health
wait=${BACKOFFICE_WAIT:-5}
token=${BACKOFFICE_TOKEN_FILE:-/etc/backoffice/authorization}

ask() { curl --silent --show-error --max-time 60 --header "@$token" "$@"; }

for _ in 1 2 3 4 5; do
  answer=$(ask "$address/check") || exit 2
  case $answer in *'"status": "busy"'*) sleep "$wait" ;; *) break ;; esac
done
case $answer in
  *'"balance_status": true'*) exit 0 ;;
  *'"balance_status": false'*) ;;
  *) echo "Backoffice does not say how the balance sheet stands: $answer"; exit 2 ;;
esac
echo "The balance sheet is not valid:"
echo "$answer"
echo "Healed:"
ask --request POST "$address/auto-heal" || exit 2
exit 1
